import Admin
import Foundation
import GeoReplication
import NIOCore

/// Asks a region of a local mesh how it is.
struct RegionProbe {
  let group: any EventLoopGroup

  func isServing(_ region: Topology.Region) async -> Bool {
    await get(region, "/admin/v2/brokers/health") != nil
  }

  func lag(_ region: Topology.Region) async -> LagReport? {
    guard let body = await get(region, "/meridian/v1/lag") else { return nil }
    return try? JSONDecoder().decode(LagReport.self, from: Data(body))
  }

  private func get(_ region: Topology.Region, _ path: String) async -> [UInt8]? {
    let url = "http://127.0.0.1:\(region.adminPort)"
    guard let client = try? AdminClient(url: url, timeout: .seconds(2), group: group) else { return nil }
    defer { client.close() }
    return try? await client.send("GET", path).body
  }
}

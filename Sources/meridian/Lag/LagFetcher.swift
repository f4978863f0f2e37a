import Admin
import Foundation
import GeoReplication
import Mesh
import NIOPosix

/// Asks regions for their lag over connections that stay open between questions.
actor LagFetcher {
  private var clients: [String: AdminClient] = [:]

  func fetch(_ target: LagCollector.Target) async throws -> LagReport {
    let client = try client(for: target.adminURL)
    let body = try await client.send(method: "GET", path: "/meridian/v1/lag", body: nil)
    do {
      return try JSONDecoder().decode(LagReport.self, from: Data(body))
    } catch {
      throw CommandFailure("\(target.adminURL) answers, but not with a lag report; is it a Meridian region?")
    }
  }

  func close() async {
    for client in clients.values { await client.close() }
    clients.removeAll()
  }

  private func client(for address: String) throws -> AdminClient {
    if let client = clients[address] { return client }
    let client = try AdminClient(baseURL: address, group: MultiThreadedEventLoopGroup.singleton)
    clients[address] = client
    return client
  }
}

import Admin
import Foundation
import GeoReplication
import Mesh

/// Asks regions for their lag over connections that stay open between questions.
actor LagFetcher {
  private var clients: [String: AdminClient] = [:]

  func fetch(_ target: LagCollector.Target) async throws -> LagReport {
    let client = try client(for: target.adminURL)
    let body = try await client.send("GET", "/meridian/v1/lag").body
    do {
      return try JSONDecoder().decode(LagReport.self, from: Data(body))
    } catch {
      throw CommandFailure("\(target.adminURL) answers, but not with a lag report; is it a Meridian region?")
    }
  }

  func close() {
    for client in clients.values { client.close() }
    clients.removeAll()
  }

  private func client(for address: String) throws -> AdminClient {
    if let client = clients[address] { return client }
    let client = try AdminClient(url: address, timeout: .seconds(5))
    clients[address] = client
    return client
  }
}

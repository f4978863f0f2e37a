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

  /// Whether a region has a namespace; true also if it does not say.
  func hasNamespace(_ namespace: String, at address: String) async -> Bool {
    do {
      let path = namespace.split(separator: "/", omittingEmptySubsequences: false).map {
        AdminSession.escape(String($0))
      }
      guard path.count == 2 else { return false }
      _ = try await client(for: address).send("GET", "/admin/v2/namespaces/\(path.joined(separator: "/"))")
      return true
    } catch let error as AdminClientError {
      return error.status.map { $0 != 404 && $0 != 412 } ?? true
    } catch {
      return true
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

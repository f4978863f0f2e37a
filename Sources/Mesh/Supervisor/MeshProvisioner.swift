import Admin
import Foundation
import NIOCore

/// Tells the regions of a local mesh of each other: clusters, tenants, namespaces. Doing it again changes nothing.
struct MeshProvisioner {
  let topology: Topology
  let directory: MeshDirectory
  let group: any EventLoopGroup
  /// Port of the WAN proxy through which a region reaches another.
  let proxyPort: @Sendable (_ from: String, _ to: String) -> Int?

  func provision() async throws {
    for region in topology.regions {
      let client = try AdminClient(url: "http://127.0.0.1:\(region.adminPort)", group: group)
      defer { client.close() }
      do {
        try await provision(region, client)
      } catch {
        throw MeshError("region \(region.name): \(error)")
      }
    }
  }

  private func provision(_ region: Topology.Region, _ client: AdminClient) async throws {
    for peer in topology.peers(of: region.name) {
      guard let remote = topology.region(peer), let port = proxyPort(region.name, peer) else { continue }
      let cluster: [String: Any] = [
        "serviceUrl": "http://127.0.0.1:\(remote.adminPort)",
        "brokerServiceUrl": "pulsar://127.0.0.1:\(remote.pulsarPort)",
        "brokerServiceUrlTls": "pulsar+ssl://127.0.0.1:\(remote.pulsarTLSPort)",
        // Every connection of the link goes through the emulated WAN, also one to a broker that a lookup names.
        "proxyServiceUrl": "pulsar+ssl://127.0.0.1:\(port)",
        "proxyProtocol": "SNI",
        "brokerClientTlsEnabled": true,
        "brokerClientTrustCertsFilePath": directory.certificates + "/ca.crt",
        "brokerClientCertificateFilePath": directory.certificate(region.name),
        "brokerClientKeyFilePath": directory.privateKey(region.name),
      ]
      try await put(client, "clusters/\(peer)", cluster, updatable: true)
    }
    for tenant in topology.tenants where tenant.regions.contains(region.name) {
      let body: [String: Any] = ["adminRoles": [String](), "allowedClusters": reachable(tenant.regions, from: region)]
      try await put(client, "tenants/\(tenant.name)", body, updatable: true)
    }
    for namespace in topology.namespaces where namespace.regions.contains(region.name) {
      let clusters = reachable(namespace.regions, from: region)
      var body: [String: Any] = ["replication_clusters": clusters, "deduplicationEnabled": namespace.deduplication]
      if let start = namespace.replicationStartAt { body["replicationStartAt"] = start }
      try await put(client, "namespaces/\(namespace.name)", body, updatable: false)
      try await send(client, "POST", "namespaces/\(namespace.name)/replication", clusters)
      try await send(client, "POST", "namespaces/\(namespace.name)/deduplication", namespace.deduplication)
    }
  }

  /// The region itself and those that it has a link with.
  private func reachable(_ regions: [String], from region: Topology.Region) -> [String] {
    let peers = topology.peers(of: region.name)
    return regions.filter { $0 == region.name || peers.contains($0) }
  }

  private func put(_ client: AdminClient, _ path: String, _ body: [String: Any], updatable: Bool) async throws {
    do {
      try await send(client, "PUT", path, body)
    } catch let error as AdminClientError where error.status == 409 {
      if updatable { try await send(client, "POST", path, body) }
    }
  }

  private func send(_ client: AdminClient, _ method: String, _ path: String, _ body: Any) async throws {
    let data = try JSONSerialization.data(withJSONObject: body, options: [.fragmentsAllowed])
    _ = try await client.send(method, "/admin/v2/\(path)", body: [UInt8](data))
  }
}

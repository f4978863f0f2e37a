import Broker
import Foundation

/// Meridian's own reports: `/meridian/v1/{region,lag,links}`
struct MeridianRoutes {
  var services: AdminServices

  func register(_ routes: inout RouteBuilder) {
    let services = services
    routes.get("/meridian/v1/region") { _ in
      let now = Int64(Date().timeIntervalSince1970 * 1000)
      return try .json(
        RegionReport(
          name: services.localCluster, incarnation: String(services.configuration.incarnation),
          version: services.configuration.version, startedAtMs: services.startedAtMs,
          uptimeSeconds: Double(max(0, now - services.startedAtMs)) / 1000, clockMs: now))
    }
    let sources = services.sources
    for (path, source) in [("lag", sources.lag), ("links", sources.links)] {
      routes.get("/meridian/v1/\(path)") { _ in
        guard let source else {
          throw AdminFailure(503, "Region \(services.localCluster) runs no replication service")
        }
        return try .json(try await source())
      }
    }
  }
}

/// What a region says about itself.
public struct RegionReport: Codable, Hashable, Sendable {
  /// Name of the cluster.
  public var name: String
  /// Which life of the region this is, in decimal (JSON numbers do not hold 64 bits everywhere).
  public var incarnation: String
  /// Version of Meridian.
  public var version: String
  /// When the admin server started, in ms since 1970.
  public var startedAtMs: Int64
  /// Seconds since then.
  public var uptimeSeconds: Double
  /// The region's clock, in ms since 1970.
  public var clockMs: Int64
}

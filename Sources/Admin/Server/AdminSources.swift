import Broker
import MetadataStore

/// Where an admin server gets what it shows beyond the broker: replication reports, figures of bookies, health.
public struct AdminSources: Sendable {
  /// The lag report of this region (answered at `/meridian/v1/lag`); nil: no replication service runs.
  public var lag: (@Sendable () async throws -> any Encodable & Sendable)?
  /// The links of this region (answered at `/meridian/v1/links`); nil: no replication service runs.
  public var links: (@Sendable () async throws -> any Encodable & Sendable)?
  /// The bookies of this process and the region's ledgers (served at `/api/v1`, with their figures in `/metrics`); nil: the
  /// process has neither.
  public var storage: BookieAdminSources?
  /// More figures for `/metrics`, for example of the bookies of this process.
  public var metrics: [@Sendable () async -> [MetricSample]] = []
  /// How many bookies the region has, also those that are away for now; nil: unknown.
  public var bookieCount: (@Sendable () async throws -> Int)?
  /// Throws with a reason while the region cannot serve.
  public var health: @Sendable () async throws -> Void = {}

  /// Nothing beyond the broker.
  public init() {}
}

/// All that the handlers of routes work with.
struct AdminServices: Sendable {
  var broker: any BrokerAdministration
  var policies: PolicyStore
  var metadata: any MetadataStore
  var sources: AdminSources
  var configuration: AdminServerConfiguration
  var startedAtMs: Int64
  /// Host and port of this broker's admin API.
  var brokerID: @Sendable () -> String

  var localCluster: String { policies.localCluster }
}

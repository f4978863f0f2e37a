import GeoReplication

extension AdminSources {
  /// The reports of a replication service; metrics and health are still to be set.
  public init(replication: ReplicationService) {
    self.init()
    lag = { await replication.lag() }
    links = { await replication.lag().links }
  }
}

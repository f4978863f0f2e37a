import Ledgers
import NIOCore
import Transport

/// How a broker uses bookies: the settings of Pulsar's `broker.conf` of the same names.
public struct BookkeeperClientSettings: Codable, Sendable, Equatable {
  /// Seconds that an add or a read may take on one bookie.
  public var bookkeeperClientTimeoutInSeconds = 5
  /// Milliseconds after which a second bookie is asked for an entry, at most; 0 leaves it to how long reads take.
  public var bookkeeperClientSpeculativeReadTimeoutInMillis = 0
  /// Ask bookies that answer well before those that are slow, failed of late, or are away.
  public var bookkeeperClientReorderReadSequenceEnabled = true
  /// Read a ledger from one bookie where each has every entry.
  public var bookkeeperEnableStickyReads = true
  /// Put the copies of an entry on different racks.
  public var bookkeeperClientRackawarePolicyEnabled = true
  /// Put the copies of an entry into different regions, and there on different racks; goes before the racks.
  public var bookkeeperClientRegionawarePolicyEnabled = false
  /// Racks (or regions) that the copies of an entry should be on, at least.
  public var bookkeeperClientMinNumRacksPerWriteQuorum = 2
  /// Rather store nothing than on fewer racks (or regions).
  public var bookkeeperClientEnforceMinNumRacksPerWriteQuorum = false
  /// Prefer bookies with more free disk.
  public var bookkeeperDiskWeightBasedPlacementEnabled = false
  /// Leave bookies alone for long that fail often.
  public var bookkeeperClientHealthCheckEnabled = true
  /// Seconds over which failures are counted.
  public var bookkeeperClientHealthCheckIntervalSeconds = 60
  /// Failures that are too many.
  public var bookkeeperClientHealthCheckErrorThresholdPerInterval = 100
  /// Seconds that a bookie is left alone then.
  public var bookkeeperClientQuarantineTimeInSeconds = 1_800
  /// Seconds that an entry may wait for its ack quorum before its ledger fails; 0: for ever.
  public var bookkeeperClientAddEntryQuorumTimeoutInSeconds = 0
  /// Bytes under way to one bookie, from each event loop, beyond which it is replaced.
  public var bookkeeperClientMaxBytesPerBookie = 64 << 20
  /// Certificates that those of bookies must be issued by (PEM); connections to bookies are then TLS.
  public var bookkeeperTLSTrustCertsFilePath = ""
  /// Whether the broker shows bookies a certificate of its own; connections to bookies are then TLS.
  public var bookkeeperTLSClientAuthentication = false
  /// That certificate, followed by intermediate ones (PEM).
  public var bookkeeperTLSCertificateFilePath = ""
  /// Its private key (PEM).
  public var bookkeeperTLSKeyFilePath = ""

  /// The defaults.
  public init() {}

  /// Decodes settings; what is absent has its default.
  public init(from decoder: any Decoder) throws {
    let values = try decoder.container(keyedBy: CodingKeys.self)
    func read<Value: Decodable>(_ key: CodingKeys, _ value: inout Value) throws {
      if let found = try values.decodeIfPresent(Value.self, forKey: key) { value = found }
    }
    try read(.bookkeeperClientTimeoutInSeconds, &bookkeeperClientTimeoutInSeconds)
    try read(.bookkeeperClientSpeculativeReadTimeoutInMillis, &bookkeeperClientSpeculativeReadTimeoutInMillis)
    try read(.bookkeeperClientReorderReadSequenceEnabled, &bookkeeperClientReorderReadSequenceEnabled)
    try read(.bookkeeperEnableStickyReads, &bookkeeperEnableStickyReads)
    try read(.bookkeeperClientRackawarePolicyEnabled, &bookkeeperClientRackawarePolicyEnabled)
    try read(.bookkeeperClientRegionawarePolicyEnabled, &bookkeeperClientRegionawarePolicyEnabled)
    try read(.bookkeeperClientMinNumRacksPerWriteQuorum, &bookkeeperClientMinNumRacksPerWriteQuorum)
    try read(.bookkeeperClientEnforceMinNumRacksPerWriteQuorum, &bookkeeperClientEnforceMinNumRacksPerWriteQuorum)
    try read(.bookkeeperDiskWeightBasedPlacementEnabled, &bookkeeperDiskWeightBasedPlacementEnabled)
    try read(.bookkeeperClientHealthCheckEnabled, &bookkeeperClientHealthCheckEnabled)
    try read(.bookkeeperClientHealthCheckIntervalSeconds, &bookkeeperClientHealthCheckIntervalSeconds)
    try read(
      .bookkeeperClientHealthCheckErrorThresholdPerInterval, &bookkeeperClientHealthCheckErrorThresholdPerInterval)
    try read(.bookkeeperClientQuarantineTimeInSeconds, &bookkeeperClientQuarantineTimeInSeconds)
    try read(.bookkeeperClientAddEntryQuorumTimeoutInSeconds, &bookkeeperClientAddEntryQuorumTimeoutInSeconds)
    try read(.bookkeeperClientMaxBytesPerBookie, &bookkeeperClientMaxBytesPerBookie)
    try read(.bookkeeperTLSTrustCertsFilePath, &bookkeeperTLSTrustCertsFilePath)
    try read(.bookkeeperTLSClientAuthentication, &bookkeeperTLSClientAuthentication)
    try read(.bookkeeperTLSCertificateFilePath, &bookkeeperTLSCertificateFilePath)
    try read(.bookkeeperTLSKeyFilePath, &bookkeeperTLSKeyFilePath)
  }

  enum CodingKeys: String, CodingKey, CaseIterable {
    case bookkeeperClientTimeoutInSeconds, bookkeeperClientSpeculativeReadTimeoutInMillis
    case bookkeeperClientReorderReadSequenceEnabled, bookkeeperEnableStickyReads
    case bookkeeperClientRackawarePolicyEnabled, bookkeeperClientRegionawarePolicyEnabled
    case bookkeeperClientMinNumRacksPerWriteQuorum, bookkeeperClientEnforceMinNumRacksPerWriteQuorum
    case bookkeeperDiskWeightBasedPlacementEnabled, bookkeeperClientHealthCheckEnabled
    case bookkeeperClientHealthCheckIntervalSeconds, bookkeeperClientHealthCheckErrorThresholdPerInterval
    case bookkeeperClientQuarantineTimeInSeconds, bookkeeperClientAddEntryQuorumTimeoutInSeconds
    case bookkeeperClientMaxBytesPerBookie, bookkeeperTLSTrustCertsFilePath, bookkeeperTLSClientAuthentication
    case bookkeeperTLSCertificateFilePath, bookkeeperTLSKeyFilePath
  }

  /// Checks what the types cannot.
  public func validate() throws {
    let positive: [(CodingKeys, Int)] = [
      (.bookkeeperClientTimeoutInSeconds, bookkeeperClientTimeoutInSeconds),
      (.bookkeeperClientMinNumRacksPerWriteQuorum, bookkeeperClientMinNumRacksPerWriteQuorum),
      (.bookkeeperClientHealthCheckIntervalSeconds, bookkeeperClientHealthCheckIntervalSeconds),
      (
        .bookkeeperClientHealthCheckErrorThresholdPerInterval, bookkeeperClientHealthCheckErrorThresholdPerInterval
      ),
      (.bookkeeperClientQuarantineTimeInSeconds, bookkeeperClientQuarantineTimeInSeconds),
      (.bookkeeperClientMaxBytesPerBookie, bookkeeperClientMaxBytesPerBookie),
    ]
    for (key, value) in positive where !(1...Int(Int32.max)).contains(value) {
      throw MeshError("\(key.rawValue) must be 1 to \(Int32.max), not \(value)")
    }
    guard
      !bookkeeperTLSClientAuthentication
        || !(bookkeeperTLSCertificateFilePath.isEmpty || bookkeeperTLSKeyFilePath.isEmpty)
    else {
      throw MeshError(
        "bookkeeperTLSClientAuthentication needs bookkeeperTLSCertificateFilePath and bookkeeperTLSKeyFilePath")
    }
    let natural: [(CodingKeys, Int)] = [
      (.bookkeeperClientSpeculativeReadTimeoutInMillis, bookkeeperClientSpeculativeReadTimeoutInMillis),
      (.bookkeeperClientAddEntryQuorumTimeoutInSeconds, bookkeeperClientAddEntryQuorumTimeoutInSeconds),
    ]
    for (key, value) in natural where !(0...Int(Int32.max)).contains(value) {
      throw MeshError("\(key.rawValue) must be 0 to \(Int32.max), not \(value)")
    }
  }

  /// What connections to bookies are encrypted with; nil: they are not.
  private func tls() throws -> TLSContext? {
    guard bookkeeperTLSClientAuthentication || !bookkeeperTLSTrustCertsFilePath.isEmpty else { return nil }
    var tls = TLSConfiguration(verification: .certificate)
    if !bookkeeperTLSTrustCertsFilePath.isEmpty { tls.trustRootsFile = bookkeeperTLSTrustCertsFilePath }
    if bookkeeperTLSClientAuthentication {
      tls.certificateChainFile = bookkeeperTLSCertificateFilePath
      tls.privateKeyFile = bookkeeperTLSKeyFilePath
    }
    return try TLSContext(tls, role: .client)
  }

  /// Puts the settings into a ledger client's configuration. Reads the certificates.
  public func apply(to configuration: inout LedgerClientConfiguration) throws {
    configuration.tls = try tls()
    configuration.addEntryTimeout = .seconds(Int64(bookkeeperClientTimeoutInSeconds))
    configuration.readEntryTimeout = .seconds(Int64(bookkeeperClientTimeoutInSeconds))
    if bookkeeperClientSpeculativeReadTimeoutInMillis > 0 {
      configuration.speculativeReadDelay = .milliseconds(Int64(bookkeeperClientSpeculativeReadTimeoutInMillis))
    }
    configuration.reorderReadSequenceEnabled = bookkeeperClientReorderReadSequenceEnabled
    configuration.stickyReadsEnabled = bookkeeperEnableStickyReads
    configuration.bookieErrorThresholdPerInterval =
      bookkeeperClientHealthCheckEnabled ? bookkeeperClientHealthCheckErrorThresholdPerInterval : 0
    configuration.bookieHealthCheckInterval = .seconds(Int64(bookkeeperClientHealthCheckIntervalSeconds))
    configuration.bookieQuarantineTime = .seconds(Int64(bookkeeperClientQuarantineTimeInSeconds))
    configuration.addEntryQuorumTimeout =
      bookkeeperClientAddEntryQuorumTimeoutInSeconds > 0
      ? .seconds(Int64(bookkeeperClientAddEntryQuorumTimeoutInSeconds)) : nil
    configuration.maximumQueuedBytesPerBookie = bookkeeperClientMaxBytesPerBookie
    configuration.placement = placement
  }

  /// Which bookies get the copies of an entry.
  var placement: any PlacementPolicy {
    let weighs = bookkeeperDiskWeightBasedPlacementEnabled
    let minimum = bookkeeperClientMinNumRacksPerWriteQuorum
    let enforces = bookkeeperClientEnforceMinNumRacksPerWriteQuorum
    if bookkeeperClientRegionawarePolicyEnabled {
      return RegionAwarePlacement(
        minimumRegionsForDurability: minimum, enforceMinimumRegions: enforces, diskWeightBasedPlacementEnabled: weighs)
    }
    if bookkeeperClientRackawarePolicyEnabled {
      return RackAwarePlacement(
        minNumRacksPerWriteQuorum: minimum, enforceMinNumRacksPerWriteQuorum: enforces,
        diskWeightBasedPlacementEnabled: weighs)
    }
    return RandomPlacement(diskWeightBasedPlacementEnabled: weighs)
  }
}

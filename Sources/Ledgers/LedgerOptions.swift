import BookieWire

/// How a new ledger spreads and protects its entries.
public struct LedgerOptions: Equatable, Sendable {
  /// Bookies over which entries are striped (BookKeeper's ensemble size), 1...64.
  public var ensembleSize: Int
  /// Copies written of each entry, at most `ensembleSize`.
  public var writeQuorumSize: Int
  /// Copies that must be durable before an entry counts as written, at most `writeQuorumSize`.
  public var ackQuorumSize: Int
  /// The digest of each entry.
  public var digest: LedgerDigest
  /// The password from which the key that bookies check is derived; empty as in Pulsar.
  public var password: [UInt8]
  /// Free-form metadata kept with the ledger.
  public var customMetadata: [String: [UInt8]]
  /// The groups of bookies that may hold the ledger; nil: any bookie.
  public var affinity: BookieAffinity?

  /// Makes options; the default is three bookies, two copies, both durable.
  public init(
    ensembleSize: Int = 3, writeQuorumSize: Int = 2, ackQuorumSize: Int = 2, digest: LedgerDigest = .crc32c,
    password: [UInt8] = [], customMetadata: [String: [UInt8]] = [:], affinity: BookieAffinity? = nil
  ) {
    self.ensembleSize = ensembleSize
    self.writeQuorumSize = writeQuorumSize
    self.ackQuorumSize = ackQuorumSize
    self.digest = digest
    self.password = password
    self.customMetadata = customMetadata
    self.affinity = affinity
  }

  /// Throws if the sizes contradict each other.
  func validate() throws(LedgerError) {
    guard (1...64).contains(ensembleSize), (1...ensembleSize).contains(writeQuorumSize),
      (1...writeQuorumSize).contains(ackQuorumSize)
    else {
      throw .invalidRequest(
        "ensemble \(ensembleSize), write quorum \(writeQuorumSize), ack quorum \(ackQuorumSize): "
          + "64 >= ensemble >= write quorum >= ack quorum >= 1 must hold.")
    }
  }
}

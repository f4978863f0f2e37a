import PulsarWire

/// Where a message is in its topic.
public struct MessageID: Hashable, Comparable, Sendable, CustomStringConvertible {
  /// The ledger.
  public var ledgerID: Int64
  /// The entry in the ledger.
  public var entryID: Int64
  /// The topic partition, -1 for none.
  public var partition: Int32
  /// The message in a batch, -1 if the entry is one message.
  public var batchIndex: Int32
  /// How many messages are in the batch, 0 if that is not known.
  public var batchSize: Int32
  /// Where a message that was cut into chunks begins; the id itself names the last chunk. Ids are compared without it.
  public var firstChunk: Chunk?

  /// The place of one chunk of a message.
  public struct Chunk: Hashable, Sendable {
    /// The ledger.
    public var ledgerID: Int64
    /// The entry in the ledger.
    public var entryID: Int64

    /// A place from its parts.
    public init(ledgerID: Int64, entryID: Int64) {
      self.ledgerID = ledgerID
      self.entryID = entryID
    }
  }

  /// An id from its parts.
  public init(
    ledgerID: Int64, entryID: Int64, partition: Int32 = -1, batchIndex: Int32 = -1, batchSize: Int32 = 0,
    firstChunk: Chunk? = nil
  ) {
    self.ledgerID = ledgerID
    self.entryID = entryID
    self.partition = partition
    self.batchIndex = batchIndex
    self.batchSize = batchSize
    self.firstChunk = firstChunk
  }

  /// Before the first message.
  public static let earliest = MessageID(ledgerID: -1, entryID: -1)
  /// After the last message.
  public static let latest = MessageID(ledgerID: .max, entryID: .max)

  /// Whether both name the same message.
  public static func == (a: MessageID, b: MessageID) -> Bool {
    a.ledgerID == b.ledgerID && a.entryID == b.entryID && a.partition == b.partition && a.batchIndex == b.batchIndex
      && a.batchSize == b.batchSize
  }

  /// The same for ids that are equal.
  public func hash(into hasher: inout Hasher) {
    hasher.combine(ledgerID)
    hasher.combine(entryID)
    hasher.combine(partition)
    hasher.combine(batchIndex)
    hasher.combine(batchSize)
  }

  /// In the order of the log.
  public static func < (a: MessageID, b: MessageID) -> Bool {
    (a.ledgerID, a.entryID, a.batchIndex) < (b.ledgerID, b.entryID, b.batchIndex)
  }

  /// `ledger:entry:partition[:index]`.
  public var description: String {
    "\(ledgerID):\(entryID):\(partition)" + (batchIndex >= 0 ? ":\(batchIndex)" : "")
  }

  /// The entry with which reading has to begin to get the message: the first chunk of one in chunks.
  var wire: MessageIDData {
    MessageIDData(
      ledgerID: firstChunk?.ledgerID ?? ledgerID, entryID: firstChunk?.entryID ?? entryID, partition: partition)
  }
}

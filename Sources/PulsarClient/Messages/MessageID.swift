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

  /// An id from its parts.
  public init(ledgerID: Int64, entryID: Int64, partition: Int32 = -1, batchIndex: Int32 = -1, batchSize: Int32 = 0) {
    self.ledgerID = ledgerID
    self.entryID = entryID
    self.partition = partition
    self.batchIndex = batchIndex
    self.batchSize = batchSize
  }

  /// Before the first message.
  public static let earliest = MessageID(ledgerID: -1, entryID: -1)
  /// After the last message.
  public static let latest = MessageID(ledgerID: .max, entryID: .max)

  /// In the order of the log.
  public static func < (a: MessageID, b: MessageID) -> Bool {
    (a.ledgerID, a.entryID, a.batchIndex) < (b.ledgerID, b.entryID, b.batchIndex)
  }

  /// `ledger:entry:partition[:index]`.
  public var description: String {
    "\(ledgerID):\(entryID):\(partition)" + (batchIndex >= 0 ? ":\(batchIndex)" : "")
  }

  var wire: MessageIDData { MessageIDData(ledgerID: ledgerID, entryID: entryID, partition: partition) }
}

import NIOCore

/// A subscription's place in a topic's log.
///
/// Confined to the log's loop: call synchronous members there only. `async` members can be called from anywhere.
public final class TopicCursor: @unchecked Sendable {
  /// The cursor's name.
  public let name: String
  /// Whether the state survives the log.
  public let isDurable: Bool
  /// The log.
  public unowned let log: TopicLog

  init(name: String, isDurable: Bool, log: TopicLog) {
    self.name = name
    self.isDurable = isDurable
    self.log = log
  }

  /// Everything up to here is acknowledged.
  public var markDelete: Position { .earliest }
  /// A hint where the owner of the cursor reads next: entries before it leave the tail cache.
  public var readPosition: Position = .earliest
  /// Entries that are not acknowledged.
  public var backlogEntries: Int64 { 0 }
  /// How many ranges are acknowledged beyond the mark-delete position.
  public var individuallyAcknowledgedRanges: Int { 0 }
  /// Properties saved with the position.
  public var properties: [String: Int64] = [:]
  /// An opaque snapshot saved atomically with the mark-delete position.
  public private(set) var attachment: [UInt8]?

  /// Whether the entry is acknowledged as a whole.
  public func isAcknowledged(_ position: Position) -> Bool { false }
  /// Acknowledges everything up to `position`; with `batchAckSet` (set bits: not acknowledged) only that part of its batch.
  public func acknowledgeCumulative(_ position: Position, batchAckSet: [Int64]? = nil, batchSize: Int? = nil) {}
  /// Acknowledges one entry, or with `batchAckSet` (set bits: not acknowledged) a part of its batch.
  public func acknowledge(_ position: Position, batchAckSet: [Int64]? = nil, batchSize: Int? = nil) -> AckOutcome {
    .alreadyAcknowledged
  }
  /// The messages of a partly acknowledged batch that remain (set bits); nil if none is acknowledged.
  public func remainingBatchBits(_ position: Position) -> [Int64]? { nil }
  /// Forgets all acknowledgements and makes `position` the next to be delivered; durable when it returns.
  public func reset(to position: Position) async throws { throw TopicLogError.closed(topic: log.name) }
  /// Moves the mark-delete position and replaces the attachment together; durable when it returns.
  public func setMarkDelete(_ position: Position, attachment: [UInt8]?) async throws {
    throw TopicLogError.closed(topic: log.name)
  }
  /// Saves what changed; durable when it returns.
  public func flush() async throws { throw TopicLogError.closed(topic: log.name) }
}

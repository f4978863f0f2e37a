import Logging
import NIOCore

/// A topic's log: a chain of ledgers that is appended to at one end and trimmed at the other.
///
/// Confined to `eventLoop`: call synchronous members there only. `async` members can be called from anywhere.
public final class TopicLog: @unchecked Sendable {
  /// Names an append listener.
  public struct ListenerID: Hashable, Sendable {
    let rawValue: UInt64
  }

  /// The topic's name, as given to `open`.
  public let name: String
  /// The loop on which the log lives.
  public let eventLoop: any EventLoop
  /// The cursors by name, non-durable ones included.
  public private(set) var cursors: [String: TopicCursor] = [:]

  init(name: String, eventLoop: any EventLoop) {
    self.name = name
    self.eventLoop = eventLoop
  }

  /// The last entry that is stored; `Position.earliest` if nothing was ever written.
  public var lastConfirmed: Position { .earliest }
  /// The first entry that still exists, or nil.
  public var firstPosition: Position? { nil }
  /// Entries in the log.
  public var totalEntries: Int64 { 0 }
  /// Bytes of payload in the log.
  public var totalSize: Int64 { 0 }
  /// What Pulsar's `internalStats` shows.
  public var internalStats: TopicLogStats? { nil }

  /// Appends the entry `header + body`; `completion` is called on the loop, in the order of the appends.
  public func append(
    _ header: ByteBuffer, _ body: ByteBuffer, completion: @escaping (Result<Position, TopicLogError>) -> Void
  ) {
    completion(.failure(.closed(topic: name)))
  }

  /// Reads entries from `from` (inclusive) on; `[]` when at the end. `completion` is called on the loop, later.
  public func read(
    from: Position, maxEntries: Int, maxBytes: Int,
    completion: @escaping (Result<[LogEntry], TopicLogError>) -> Void
  ) {
    completion(.failure(.closed(topic: name)))
  }

  /// The position that follows `position`: of the next entry, or where the next append will be at the earliest.
  public func position(after position: Position) -> Position { position }
  /// Entries that exist from `from` through `through`, both inclusive.
  public func entryCount(from: Position, through: Position) -> Int64 { 0 }
  /// Bytes of the entries from `from` (inclusive) to the end; estimated within a ledger.
  public func sizeInBytes(from: Position) -> Int64 { 0 }

  /// Calls `listener` on the loop once for each batch of confirmed appends.
  public func addAppendListener(_ listener: @escaping () -> Void) -> ListenerID { ListenerID(rawValue: 0) }
  /// Removes a listener.
  public func removeAppendListener(_ id: ListenerID) {}

  /// Opens the durable cursor `name`, or creates it at `initial`.
  public func openCursor(
    _ name: String, initial: InitialPosition, properties: [String: Int64] = [:]
  ) async throws -> TopicCursor { throw TopicLogError.closed(topic: self.name) }
  /// Makes a cursor that lives in memory only; `deleteCursor` ends it.
  public func makeNonDurableCursor(name: String, start: InitialPosition) -> TopicCursor {
    TopicCursor(name: name, isDurable: false, log: self)
  }
  /// Deletes a cursor and its saved state.
  public func deleteCursor(_ name: String) async throws { throw TopicLogError.closed(topic: self.name) }

  /// Ends the topic for good: no more appends. Returns its last position.
  public func terminate() async throws -> Position { throw TopicLogError.closed(topic: name) }
  /// Deletes ledgers that every cursor passed and that retention gives up.
  public func trim() async throws { throw TopicLogError.closed(topic: name) }
  /// Deletes the topic: its ledgers, cursors and records. The log is closed afterwards.
  public func delete() async throws { throw TopicLogError.closed(topic: name) }
  /// Closes the log: waits for appends on their way, saves every cursor.
  public func close() async throws {}
  /// The first entry for which `predicate` is false, by binary search; nil if there is none. `predicate` must be true
  /// for a prefix of the log, and is called on the loop.
  public func findPosition(where predicate: @escaping @Sendable (LogEntry) -> Bool) async throws -> Position? {
    throw TopicLogError.closed(topic: name)
  }
}

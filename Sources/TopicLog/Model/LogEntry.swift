import NIOCore

/// One entry read from a topic's log.
public struct LogEntry: Sendable {
  /// Where the entry is.
  public var position: Position
  /// The entry as it was appended: header and body in one buffer.
  public var payload: ByteBuffer
  /// Bytes of payload in the entry's ledger up to and including this entry.
  public var cumulativeLength: Int64

  /// Creates an entry.
  public init(position: Position, payload: ByteBuffer, cumulativeLength: Int64) {
    self.position = position
    self.payload = payload
    self.cumulativeLength = cumulativeLength
  }
}

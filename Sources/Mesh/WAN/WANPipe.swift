import NIOCore

/// One direction of a WAN path as a pipe: bytes leave at the path's rate, one behind the other, and arrive a delay later.
///
/// Delay does not limit throughput: any number of bytes may be under way. Bandwidth does: the bytes of all connections
/// of the path wait for each other. The pipe holds no bytes and no clock; it only says when a chunk arrives.
public struct WANPipe: Sendable {
  /// What the path does to bytes that are sent from now on.
  public var shape: WANShape
  /// When the last chunk that was sent has left the sender.
  private var transmitterFree: NIODeadline = .uninitializedPipe

  /// A pipe on which nothing was sent yet.
  public init(shape: WANShape) {
    self.shape = shape
  }

  /// Sends a chunk.
  ///
  /// - Parameters:
  ///   - bytes: the chunk's size.
  ///   - now: the time at which it is handed to the path.
  ///   - jitterFraction: which part of the jitter this chunk gets, from 0 to 1.
  /// - Returns: when the chunk has left the sender (until then it occupies the path), and when it would arrive if
  ///   nothing sent before it on the same connection arrived later.
  public mutating func send(bytes: Int, now: NIODeadline, jitterFraction: Double) -> (
    left: NIODeadline, arrives: NIODeadline
  ) {
    var left = now
    if let bandwidth = shape.bandwidth, bandwidth > 0 {
      let start = Swift.max(now, transmitterFree)
      let nanoseconds = Int64((Double(bytes) * 1e9 / Double(bandwidth)).rounded(.up))
      left = start + .nanoseconds(nanoseconds)
      transmitterFree = left
    }
    let part = Swift.min(Swift.max(jitterFraction, 0), 1)
    let jitter = TimeAmount.nanoseconds(Int64(Double(shape.jitter.nanoseconds) * part))
    return (left, left + shape.delay + jitter)
  }
}

extension NIODeadline {
  fileprivate static let uninitializedPipe = NIODeadline.uptimeNanoseconds(0)
}

import NIOCore

/// Takes the messages out of a batch payload (decompressed).
public struct BatchReader: Sendable {
  /// One message of a batch.
  public struct Message: Hashable, Sendable {
    /// Position in the batch, from 0.
    public var index: Int
    /// What the producer says about it.
    public var metadata: SingleMessageMetadata
    /// The message, a slice of the batch.
    public var payload: ByteBuffer
  }

  private var buffer: ByteBuffer
  private let count: Int
  private var index = 0

  /// Reads `count` messages (`MessageMetadata.num_messages_in_batch`) from `payload`.
  public init(payload: ByteBuffer, count: Int) {
    buffer = payload
    self.count = count
  }

  /// The next message, or nil when all were read.
  public mutating func next() throws(PulsarWireError) -> Message? {
    guard index < count else { return nil }
    guard let size: UInt32 = buffer.readInteger() else {
      throw .malformedFrame("the batch ends before message \(index) of \(count)")
    }
    guard let encoded = buffer.readSlice(length: Int(size)) else {
      throw .malformedFrame("the metadata of message \(index) does not fit its batch")
    }
    let metadata = try SingleMessageMetadata(decoding: encoded)
    guard metadata.payloadSize >= 0, let payload = buffer.readSlice(length: Int(metadata.payloadSize)) else {
      throw .malformedFrame("the payload of message \(index) does not fit its batch")
    }
    defer { index += 1 }
    return Message(index: index, metadata: metadata, payload: payload)
  }
}

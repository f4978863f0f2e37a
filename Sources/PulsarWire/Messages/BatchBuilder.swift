import NIOCore

/// Puts messages into one batch payload: `[metadataSize][SingleMessageMetadata][payload]` for each.
///
/// The result is what is compressed, and then follows a `MessageMetadata` with `numMessagesInBatch`.
public struct BatchBuilder: Sendable {
  private var buffer: ByteBuffer
  /// Messages so far.
  public private(set) var count = 0

  /// Bytes so far.
  public var readableBytes: Int { buffer.readableBytes }

  /// Creates an empty batch.
  ///
  /// - Parameter capacity: bytes to make room for at once.
  public init(capacity: Int = 0) {
    buffer = ByteBufferAllocator().buffer(capacity: capacity)
  }

  /// Bytes that `append` of the same message adds.
  public static func encodedSize(metadata: SingleMessageMetadata, payload: ByteBuffer) -> Int {
    var metadata = metadata
    metadata.payloadSize = Int32(clamping: payload.readableBytes)
    return 4 + metadata.encodedSize + payload.readableBytes
  }

  /// Appends a message; its payload size is taken from the payload, which must be below 2 GiB.
  public mutating func append(metadata: SingleMessageMetadata, payload: ByteBuffer) {
    var metadata = metadata
    metadata.payloadSize = Int32(payload.readableBytes)
    let size = metadata.encodedSize
    buffer.writeProtobuf(size: 4 + size + payload.readableBytes) { writer in
      writer.uint32(UInt32(size))
      metadata.write(to: &writer)
      payload.withUnsafeReadableBytes { writer.copy($0) }
    }
    count += 1
  }

  /// The batch; the builder is empty afterwards.
  public mutating func finish() -> ByteBuffer {
    let batch = buffer
    buffer = ByteBuffer()
    count = 0
    return batch
  }
}

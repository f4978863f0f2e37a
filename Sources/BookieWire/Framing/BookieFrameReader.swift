import NIOCore

/// Cuts a byte stream into frames. Frames are slices of what was received; the length is checked before any byte of the
/// frame is waited for.
public struct BookieFrameReader: Sendable {
  /// BookKeeper's default limit, `nettyMaxFrameSizeBytes`, as Pulsar sets it: 5 MiB and 10 KiB.
  public static let defaultMaximumFrameLength = 5 * 1024 * 1024 + 10 * 1024

  private let maximumFrameLength: Int
  private var received: ByteBuffer?

  /// A reader that refuses frames of more than `maximumFrameLength` bytes.
  public init(maximumFrameLength: Int = BookieFrameReader.defaultMaximumFrameLength) {
    self.maximumFrameLength = maximumFrameLength
  }

  /// Whether nothing waits for the rest of a frame.
  public var isEmpty: Bool { received?.readableBytes ?? 0 == 0 }

  /// Takes bytes from the peer. Drain `nextFrame()` afterwards.
  public mutating func append(_ bytes: ByteBuffer) {
    guard var rest = received, rest.readableBytes > 0 else {
      received = bytes
      return
    }
    received = nil
    // The frames handed out so far share the storage: begin a buffer of our own instead of copying all of it on write.
    if rest.readerIndex > 0 {
      var fresh = ByteBufferAllocator().buffer(capacity: capacityWanted(for: rest, adding: bytes.readableBytes))
      fresh.writeImmutableBuffer(rest)
      rest = fresh
    }
    rest.writeImmutableBuffer(bytes)
    received = rest
  }

  /// The next complete frame, without its length word; nil if more bytes are needed.
  public mutating func nextFrame() throws(BookieWireError) -> ByteBuffer? {
    guard let length = received?.getInteger(at: received?.readerIndex ?? 0, as: UInt32.self) else { return nil }
    guard length <= UInt32(clamping: maximumFrameLength) else {
      throw .frameTooLarge(Int(length), limit: maximumFrameLength)
    }
    guard let available = received?.readableBytes, available >= 4 + Int(length) else { return nil }
    received?.moveReaderIndex(forwardBy: 4)
    return received?.readSlice(length: Int(length))
  }

  /// Room for the frame that `rest` begins, so that a large one is not moved again and again while it arrives.
  private func capacityWanted(for rest: ByteBuffer, adding count: Int) -> Int {
    let least = rest.readableBytes + count
    guard let length = rest.getInteger(at: rest.readerIndex, as: UInt32.self) else { return least }
    return max(least, min(Int(length), maximumFrameLength) + 4)
  }
}

import NIOCore

/// Cuts a byte stream into frames: a 32-bit big-endian length, then that many bytes.
///
/// Hands out the frames without their length word, as slices of what was read. A frame longer than the limit, which
/// includes a negative length, fires `FrameError.tooLong` and closes the channel before anything is allocated for it.
/// Use it in a `ByteToMessageHandler`.
public struct LengthPrefixedFrameDecoder: ByteToMessageDecoder {
  /// One frame without its length word.
  public typealias InboundOut = ByteBuffer

  private let maximumFrameLength: Int
  private var isBroken = false

  /// A decoder that takes frames of at most `maximumFrameLength` bytes, the length word not counted.
  public init(maximumFrameLength: Int) {
    self.maximumFrameLength = maximumFrameLength
  }

  /// Hands out the next frame if it is complete.
  public mutating func decode(context: ChannelHandlerContext, buffer: inout ByteBuffer) throws -> DecodingState {
    switch nextFrame(&buffer) {
    case .frame(let frame):
      context.fireChannelRead(wrapInboundOut(frame))
      return .continue
    case .incomplete:
      return .needMoreData
    case .tooLong(let error):
      context.fireErrorCaught(error)
      context.close(promise: nil)
      return .needMoreData
    }
  }

  /// Discards an incomplete frame at the end of the stream.
  public mutating func decodeLast(
    context: ChannelHandlerContext, buffer: inout ByteBuffer, seenEOF: Bool
  ) throws -> DecodingState {
    while try decode(context: context, buffer: &buffer) == .continue {}
    buffer.clear()
    return .needMoreData
  }

  /// What the bytes at hand are.
  enum Step: Equatable {
    case frame(ByteBuffer)
    case incomplete
    case tooLong(FrameError)
  }

  /// Takes the next frame off `buffer`. After a frame that was too long, everything is discarded.
  mutating func nextFrame(_ buffer: inout ByteBuffer) -> Step {
    guard !isBroken else {
      buffer.clear()
      return .incomplete
    }
    guard let length = buffer.getInteger(at: buffer.readerIndex, as: UInt32.self) else { return .incomplete }
    guard length <= maximumFrameLength else {
      isBroken = true
      buffer.clear()
      return .tooLong(.tooLong(length: Int(length), limit: maximumFrameLength))
    }
    guard buffer.readableBytes >= 4 + Int(length) else { return .incomplete }
    buffer.moveReaderIndex(forwardBy: 4)
    return buffer.readSlice(length: Int(length)).map(Step.frame) ?? .incomplete
  }
}

/// A frame that this side does not take.
public enum FrameError: Error, Hashable, Sendable, CustomStringConvertible {
  /// The peer announced a frame of `length` bytes, and at most `limit` are taken.
  case tooLong(length: Int, limit: Int)

  /// One sentence.
  public var description: String {
    switch self {
    case .tooLong(let length, let limit):
      "The peer announced a frame of \(length) bytes, and at most \(limit) are taken; the connection is closed."
    }
  }
}

import NIOCore

/// Cuts a connection's bytes into frames. For `NIOSingleStepByteToMessageProcessor` or `ByteToMessageHandler`.
///
/// A frame is `[totalSize][commandSize][command][rest]`; both sizes are four bytes, big-endian. Sizes are checked as soon
/// as they are there, before anything waits for, or makes room for, the bytes they announce. After an error the stream
/// is out of step: close the connection.
public struct PulsarFrameDecoder: NIOSingleStepByteToMessageDecoder {
  /// What comes out: frames.
  public typealias InboundOut = PulsarFrame

  /// Largest message (metadata and payload) in bytes; a frame may be `PulsarProtocol.frameOverhead` larger.
  public var maxMessageSize: Int
  /// Largest command in bytes, to bound what decoding one can allocate.
  public var maxCommandSize: Int

  /// Creates a decoder with the limits given, in bytes.
  public init(
    maxMessageSize: Int = PulsarProtocol.defaultMaxMessageSize,
    maxCommandSize: Int = PulsarProtocol.defaultMaxMessageSize
  ) {
    self.maxMessageSize = maxMessageSize
    self.maxCommandSize = maxCommandSize
  }

  /// The next frame, or nil when it is not complete. Throws `PulsarWireError`.
  public mutating func decode(buffer: inout ByteBuffer) throws -> PulsarFrame? {
    try nextFrame(&buffer)
  }

  /// At the end of the stream an incomplete frame is dropped: its sender could not have expected an answer.
  public mutating func decodeLast(buffer: inout ByteBuffer, seenEOF: Bool) throws -> PulsarFrame? {
    try nextFrame(&buffer)
  }

  private func nextFrame(_ buffer: inout ByteBuffer) throws(PulsarWireError) -> PulsarFrame? {
    let start = buffer.readerIndex
    guard let announced: UInt32 = buffer.getInteger(at: start) else { return nil }
    let total = Int(announced)
    let limit = maxMessageSize + PulsarProtocol.frameOverhead
    guard total <= limit else { throw .frameTooLarge(size: total, limit: limit) }
    guard total >= 4 else { throw .malformedFrame("its size \(total) has no room for a command's size") }
    guard let commandSize = buffer.getInteger(at: start + 4, as: UInt32.self).map({ Int($0) }) else { return nil }
    guard commandSize <= total - 4 else {
      throw .malformedFrame("its command of \(commandSize) bytes does not fit its \(total) bytes")
    }
    guard commandSize <= maxCommandSize else { throw .frameTooLarge(size: commandSize, limit: maxCommandSize) }
    guard buffer.readableBytes >= 4 + total else { return nil }
    guard let command = buffer.getSlice(at: start + 8, length: commandSize) else { return nil }
    let payloadSize = total - 4 - commandSize
    let payload = payloadSize == 0 ? nil : buffer.getSlice(at: start + 8 + commandSize, length: payloadSize)
    let frame = PulsarFrame(command: try PulsarCommand(decoding: command), payload: payload)
    buffer.moveReaderIndex(forwardBy: 4 + total)
    return frame
  }
}

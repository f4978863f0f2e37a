import NIOCore
import SwiftProtobuf

/// Appends frames to a buffer: `[totalSize][commandSize][command]`, straight into memory, so that one buffer can take
/// any number of frames for one write.
///
/// A payload is not copied: say how long it is, and write it to the channel as its own buffer behind the header.
public enum PulsarFrameEncoder {
  /// Appends SEND; `payloadLength` is the number of bytes of the entry that follows.
  public static func encode(_ command: SendCommand, payloadLength: Int, into buffer: inout ByteBuffer) {
    write(type: 6, command.encodedSize, payloadLength, &buffer) { command.write(to: &$0) }
  }

  /// Appends SEND_RECEIPT.
  public static func encode(_ command: SendReceiptCommand, into buffer: inout ByteBuffer) {
    write(type: 7, command.encodedSize, 0, &buffer) { command.write(to: &$0) }
  }

  /// Appends MESSAGE; `payloadLength` is the number of bytes of the entry that follows.
  public static func encode(_ command: MessageCommand, payloadLength: Int, into buffer: inout ByteBuffer) {
    write(type: 9, command.encodedSize, payloadLength, &buffer) { command.write(to: &$0) }
  }

  /// Appends ACK.
  public static func encode(_ command: AckCommand, into buffer: inout ByteBuffer) {
    write(type: 10, command.encodedSize, 0, &buffer) { command.write(to: &$0) }
  }

  /// Appends FLOW.
  public static func encode(_ command: FlowCommand, into buffer: inout ByteBuffer) {
    write(type: 11, command.encodedSize, 0, &buffer) { command.write(to: &$0) }
  }

  /// Appends PING, with the clock in milliseconds since 1970 between regions.
  public static func encodePing(clockMs: Int64? = nil, into buffer: inout ByteBuffer) {
    let size = clockMs.map { ProtobufSize.field(8000, $0) } ?? 0
    write(type: 18, size, 0, &buffer) { writer in
      if let clockMs { writer.field(8000, clockMs) }
    }
  }

  /// Appends PONG, between regions with the ping's clock and the own one.
  public static func encodePong(echoedClockMs: Int64? = nil, clockMs: Int64? = nil, into buffer: inout ByteBuffer) {
    let size =
      (echoedClockMs.map { ProtobufSize.field(8000, $0) } ?? 0) + (clockMs.map { ProtobufSize.field(8008, $0) } ?? 0)
    write(type: 19, size, 0, &buffer) { writer in
      if let echoedClockMs { writer.field(8000, echoedClockMs) }
      if let clockMs { writer.field(8008, clockMs) }
    }
  }

  /// Appends a cold command. Throws `PulsarWireError.malformedCommand` if a required field is not set.
  public static func encode(
    _ command: ProtoBaseCommand, payloadLength: Int = 0, into buffer: inout ByteBuffer
  ) throws(PulsarWireError) {
    let bytes: [UInt8]
    do {
      bytes = try command.serializedBytes()
    } catch {
      throw .malformedCommand("\(error)")
    }
    buffer.writeInteger(UInt32(4 + bytes.count + payloadLength))
    buffer.writeInteger(UInt32(bytes.count))
    buffer.writeBytes(bytes)
  }

  /// Appends any command; `payloadLength` is the number of bytes that follow behind it.
  public static func encode(
    command: PulsarCommand, payloadLength: Int = 0, into buffer: inout ByteBuffer
  ) throws(PulsarWireError) {
    switch command {
    case .send(let send): encode(send, payloadLength: payloadLength, into: &buffer)
    case .sendReceipt(let receipt): encode(receipt, into: &buffer)
    case .message(let message): encode(message, payloadLength: payloadLength, into: &buffer)
    case .ack(let ack): encode(ack, into: &buffer)
    case .flow(let flow): encode(flow, into: &buffer)
    case .ping(let clockMs): encodePing(clockMs: clockMs, into: &buffer)
    case .pong(let echoedClockMs, let clockMs):
      encodePong(echoedClockMs: echoedClockMs, clockMs: clockMs, into: &buffer)
    case .other(let other): try encode(other, payloadLength: payloadLength, into: &buffer)
    }
  }

  /// The envelope of a hot command is its type and the one field that has the type's number.
  @inline(__always)
  private static func write(
    type: UInt32, _ size: Int, _ payloadLength: Int, _ buffer: inout ByteBuffer,
    _ body: (inout ProtobufWriter) -> Void
  ) {
    let commandSize = 2 + ProtobufSize.delimited(type << 3 | 2, size)
    buffer.writeProtobuf(size: 8 + commandSize) { writer in
      writer.uint32(UInt32(4 + commandSize + payloadLength))
      writer.uint32(UInt32(commandSize))
      writer.byte(8)
      writer.byte(UInt8(type))
      writer.field(type << 3 | 2, UInt64(size))
      body(&writer)
    }
  }
}

import NIOCore

/// One command of the protocol. The ones that travel with every message are decoded by hand, the rest by the protobuf
/// library.
public enum PulsarCommand: Hashable, Sendable {
  /// A producer hands over an entry.
  case send(SendCommand)
  /// An entry is stored.
  case sendReceipt(SendReceiptCommand)
  /// An entry for a consumer.
  case message(MessageCommand)
  /// A consumer is done with messages.
  case ack(AckCommand)
  /// A consumer has room for more.
  case flow(FlowCommand)
  /// Is the peer alive? Between regions with the sender's clock in milliseconds since 1970.
  case ping(clockMs: Int64? = nil)
  /// The answer to a ping. Between regions with the ping's clock and the answerer's own.
  case pong(echoedClockMs: Int64? = nil, clockMs: Int64? = nil)
  /// Any other command; the field that its type names is present.
  case other(ProtoBaseCommand)
}

extension PulsarCommand {
  /// Decodes the bytes of one `BaseCommand`.
  public init(decoding bytes: ByteBuffer) throws(PulsarWireError) {
    let hot = try bytes.parse { reader throws(PulsarWireError) in try PulsarCommand.decodeHot(&reader) }
    if let hot { self = hot } else { self = try PulsarCommand.decodeCold(bytes) }
  }

  /// The usual encoding of a hot command is its type and then its field, and nothing else. Anything different, legal as
  /// it may be, is left to the protobuf library.
  private static func decodeHot(_ reader: inout ProtobufReader) throws(PulsarWireError) -> PulsarCommand? {
    guard try reader.tag() == 8 else { return nil }
    let type = try reader.varint()
    guard type >= 6, type <= 19, try reader.tag() == UInt32(truncatingIfNeeded: type << 3 | 2) else { return nil }
    var body = try reader.nested()
    guard reader.isAtEnd else { return nil }
    switch type {
    case 6: return .send(try SendCommand.decode(&body))
    case 7: return .sendReceipt(try SendReceiptCommand.decode(&body))
    case 9: return .message(try MessageCommand.decode(&body))
    case 10: return .ack(try AckCommand.decode(&body))
    case 11: return .flow(try FlowCommand.decode(&body))
    case 18 where body.isAtEnd: return .ping()
    case 19 where body.isAtEnd: return .pong()
    default: return nil
    }
  }

  private static func decodeCold(_ bytes: ByteBuffer) throws(PulsarWireError) -> PulsarCommand {
    try requireBody(bytes)
    let command: ProtoBaseCommand
    do {
      command = try ProtoBaseCommand(serializedBytes: Array(bytes.readableBytesView))
    } catch {
      throw .malformedCommand("\(error)")
    }
    switch command.type {
    case .send: return .send(SendCommand(command.send))
    case .sendReceipt: return .sendReceipt(SendReceiptCommand(command.sendReceipt))
    case .message: return .message(MessageCommand(command.message))
    case .ack: return .ack(AckCommand(command.ack))
    case .flow: return .flow(FlowCommand(command.flow))
    case .ping: return .ping(clockMs: command.ping.hasMeridianClockMs ? command.ping.meridianClockMs : nil)
    case .pong:
      let pong = command.pong
      return .pong(
        echoedClockMs: pong.hasMeridianEchoedClockMs ? pong.meridianEchoedClockMs : nil,
        clockMs: pong.hasMeridianClockMs ? pong.meridianClockMs : nil)
    default: return .other(command)
    }
  }

  /// A command whose type names an absent field would read as one with every field at its default.
  private static func requireBody(_ bytes: ByteBuffer) throws(PulsarWireError) {
    try bytes.parse { reader throws(PulsarWireError) in
      var type: UInt64?
      var bodies: Set<UInt64> = []
      while let tag = try reader.tag() {
        if tag == 8 {
          type = try reader.varint()
        } else {
          if tag & 7 == 2 { bodies.insert(UInt64(tag >> 3)) }
          try reader.skip(tag)
        }
      }
      guard let type else { throw .missingField("BaseCommand.type") }
      guard ProtoBaseCommand.TypeEnum(rawValue: Int(truncatingIfNeeded: type)) != nil else {
        throw .unknownCommand(type: type)
      }
      guard bodies.contains(type) else { throw .missingField("BaseCommand field \(type)") }
    }
  }
}

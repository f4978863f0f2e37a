import NIOCore

/// FLOW: a consumer has room for more messages (`CommandFlow`).
public struct FlowCommand: Hashable, Sendable {
  /// The consumer, as numbered by the client on this connection.
  public var consumerID: UInt64
  /// Messages (not entries) that may be sent in addition.
  public var messagePermits: UInt32

  /// Creates the command.
  public init(consumerID: UInt64, messagePermits: UInt32) {
    self.consumerID = consumerID
    self.messagePermits = messagePermits
  }

  /// The value of the generated type.
  public init(_ proto: ProtoCommandFlow) {
    self.init(consumerID: proto.consumerID, messagePermits: proto.messagePermits)
  }
}

extension FlowCommand {
  static func decode(_ reader: inout ProtobufReader) throws(PulsarWireError) -> FlowCommand {
    var consumerID: UInt64?
    var permits: UInt32?
    while let tag = try reader.tag() {
      switch tag {
      case 8: consumerID = try reader.varint()
      case 16: permits = try reader.uint32()
      default: try reader.skip(tag)
      }
    }
    guard let consumerID else { throw .missingField("CommandFlow.consumer_id") }
    guard let permits else { throw .missingField("CommandFlow.messagePermits") }
    return FlowCommand(consumerID: consumerID, messagePermits: permits)
  }

  var encodedSize: Int { ProtobufSize.field(8, consumerID) + ProtobufSize.field(16, messagePermits) }

  func write(to writer: inout ProtobufWriter) {
    writer.field(8, consumerID)
    writer.field(16, messagePermits)
  }
}

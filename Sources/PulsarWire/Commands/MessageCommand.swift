import NIOCore

/// MESSAGE: the broker delivers one entry (`CommandMessage`). The entry itself is the frame's payload.
public struct MessageCommand: Hashable, Sendable {
  /// The consumer, as numbered by the client on this connection.
  public var consumerID: UInt64
  /// Position of the entry.
  public var messageID: MessageIDData
  /// How often the entry was delivered before.
  public var redeliveryCount: UInt32
  /// For a batch that was acknowledged in part: bits of the messages that are still wanted; empty for all.
  public var ackSet: [Int64]
  /// Epoch of the consumer, where the client uses epochs.
  public var consumerEpoch: UInt64?

  /// Creates the command.
  public init(
    consumerID: UInt64, messageID: MessageIDData, redeliveryCount: UInt32 = 0, ackSet: [Int64] = [],
    consumerEpoch: UInt64? = nil
  ) {
    self.consumerID = consumerID
    self.messageID = messageID
    self.redeliveryCount = redeliveryCount
    self.ackSet = ackSet
    self.consumerEpoch = consumerEpoch
  }

  /// The value of the generated type.
  public init(_ proto: ProtoCommandMessage) {
    self.init(
      consumerID: proto.consumerID, messageID: MessageIDData(proto.messageID),
      redeliveryCount: proto.redeliveryCount, ackSet: proto.ackSet,
      consumerEpoch: proto.hasConsumerEpoch ? proto.consumerEpoch : nil)
  }
}

extension MessageCommand {
  static func decode(_ reader: inout ProtobufReader) throws(PulsarWireError) -> MessageCommand {
    var consumerID: UInt64?
    var messageID: MessageIDData?
    var redeliveryCount: UInt32 = 0
    var ackSet: [Int64] = []
    var consumerEpoch: UInt64?
    while let tag = try reader.tag() {
      switch tag {
      case 8: consumerID = try reader.varint()
      case 18:
        var nested = try reader.nested()
        messageID = try MessageIDData.decode(&nested, merging: messageID)
      case 24: redeliveryCount = try reader.uint32()
      case 32: ackSet.append(try reader.int64())
      case 34: try reader.packed(into: &ackSet) { Int64(bitPattern: $0) }
      case 40: consumerEpoch = try reader.varint()
      default: try reader.skip(tag)
      }
    }
    guard let consumerID else { throw .missingField("CommandMessage.consumer_id") }
    guard let messageID else { throw .missingField("CommandMessage.message_id") }
    return MessageCommand(
      consumerID: consumerID, messageID: messageID, redeliveryCount: redeliveryCount, ackSet: ackSet,
      consumerEpoch: consumerEpoch)
  }

  var encodedSize: Int {
    var size = ProtobufSize.field(8, consumerID) + ProtobufSize.delimited(18, messageID.encodedSize)
    if redeliveryCount != 0 { size += ProtobufSize.field(24, redeliveryCount) }
    for word in ackSet { size += ProtobufSize.field(32, word) }
    if let consumerEpoch { size += ProtobufSize.field(40, consumerEpoch) }
    return size
  }

  func write(to writer: inout ProtobufWriter) {
    writer.field(8, consumerID)
    writer.field(18, UInt64(messageID.encodedSize))
    messageID.write(to: &writer)
    if redeliveryCount != 0 { writer.field(24, redeliveryCount) }
    for word in ackSet { writer.field(32, word) }
    if let consumerEpoch { writer.field(40, consumerEpoch) }
  }
}

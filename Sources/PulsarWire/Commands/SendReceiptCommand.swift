import NIOCore

/// SEND_RECEIPT: an entry is stored (`CommandSendReceipt`).
public struct SendReceiptCommand: Hashable, Sendable {
  /// The producer, as numbered by the client on this connection.
  public var producerID: UInt64
  /// The SEND's sequence id; towards a Pulsar replicator the source's ledger id.
  public var sequenceID: UInt64
  /// Where the entry is stored; (-1, -1) for a duplicate.
  public var messageID: MessageIDData?
  /// The entry's last sequence id; towards a Pulsar replicator the source's entry id.
  public var highestSequenceID: UInt64
  /// Between Meridian regions: everything of the stream up to and including this position is stored.
  public var watermark: OriginStamp?

  /// Creates the command.
  public init(
    producerID: UInt64, sequenceID: UInt64, messageID: MessageIDData? = nil, highestSequenceID: UInt64 = 0,
    watermark: OriginStamp? = nil
  ) {
    self.producerID = producerID
    self.sequenceID = sequenceID
    self.messageID = messageID
    self.highestSequenceID = highestSequenceID
    self.watermark = watermark
  }

  /// The value of the generated type.
  public init(_ proto: ProtoCommandSendReceipt) {
    self.init(
      producerID: proto.producerID, sequenceID: proto.sequenceID,
      messageID: proto.hasMessageID ? MessageIDData(proto.messageID) : nil,
      highestSequenceID: proto.highestSequenceID,
      watermark: proto.hasMeridianWatermark ? OriginStamp(proto.meridianWatermark) : nil)
  }
}

extension SendReceiptCommand {
  static func decode(_ reader: inout ProtobufReader) throws(PulsarWireError) -> SendReceiptCommand {
    var command = SendReceiptCommand(producerID: 0, sequenceID: 0)
    var hasProducer = false
    var hasSequence = false
    while let tag = try reader.tag() {
      switch tag {
      case 8:
        command.producerID = try reader.varint()
        hasProducer = true
      case 16:
        command.sequenceID = try reader.varint()
        hasSequence = true
      case 26:
        var nested = try reader.nested()
        command.messageID = try MessageIDData.decode(&nested, merging: command.messageID)
      case 32: command.highestSequenceID = try reader.varint()
      case 8002:
        var nested = try reader.nested()
        command.watermark = try OriginStamp.decode(&nested, merging: command.watermark)
      default: try reader.skip(tag)
      }
    }
    guard hasProducer else { throw .missingField("CommandSendReceipt.producer_id") }
    guard hasSequence else { throw .missingField("CommandSendReceipt.sequence_id") }
    return command
  }

  var encodedSize: Int {
    var size = ProtobufSize.field(8, producerID) + ProtobufSize.field(16, sequenceID)
    if let messageID { size += ProtobufSize.delimited(26, messageID.encodedSize) }
    if highestSequenceID != 0 { size += ProtobufSize.field(32, highestSequenceID) }
    if let watermark { size += ProtobufSize.delimited(8002, watermark.encodedSize) }
    return size
  }

  func write(to writer: inout ProtobufWriter) {
    writer.field(8, producerID)
    writer.field(16, sequenceID)
    if let messageID {
      writer.field(26, UInt64(messageID.encodedSize))
      messageID.write(to: &writer)
    }
    if highestSequenceID != 0 { writer.field(32, highestSequenceID) }
    if let watermark {
      writer.field(8002, UInt64(watermark.encodedSize))
      watermark.write(to: &writer)
    }
  }
}

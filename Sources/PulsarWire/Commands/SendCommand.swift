import NIOCore

/// SEND: a producer hands over one entry (`CommandSend`). The entry itself is the frame's payload.
public struct SendCommand: Hashable, Sendable {
  /// The producer, as numbered by the client on this connection.
  public var producerID: UInt64
  /// Sequence id of the entry's first message.
  public var sequenceID: UInt64
  /// Messages in the entry. Untrusted: a faulty client may say 0 or a negative number.
  public var numMessages: Int32
  /// Lower half of the transaction id; 0 for none.
  public var txnLeastBits: UInt64
  /// Upper half of the transaction id; 0 for none.
  public var txnMostBits: UInt64
  /// Sequence id of the entry's last message, where the client says so.
  public var highestSequenceID: UInt64?
  /// Whether the entry is one chunk of a larger message.
  public var isChunk: Bool
  /// Whether the entry is a marker of a replicator and not a message.
  public var marker: Bool
  /// Position of the entry in its source; used by shadow topics only.
  public var messageID: MessageIDData?
  /// Between Meridian regions: where the entry came from.
  public var origin: OriginStamp?

  /// Creates the command.
  public init(
    producerID: UInt64, sequenceID: UInt64, numMessages: Int32 = 1, highestSequenceID: UInt64? = nil,
    isChunk: Bool = false, marker: Bool = false, messageID: MessageIDData? = nil, origin: OriginStamp? = nil,
    txnLeastBits: UInt64 = 0, txnMostBits: UInt64 = 0
  ) {
    self.producerID = producerID
    self.sequenceID = sequenceID
    self.numMessages = numMessages
    self.txnLeastBits = txnLeastBits
    self.txnMostBits = txnMostBits
    self.highestSequenceID = highestSequenceID
    self.isChunk = isChunk
    self.marker = marker
    self.messageID = messageID
    self.origin = origin
  }

  /// The value of the generated type.
  public init(_ proto: ProtoCommandSend) {
    self.init(
      producerID: proto.producerID, sequenceID: proto.sequenceID, numMessages: proto.numMessages,
      highestSequenceID: proto.hasHighestSequenceID ? proto.highestSequenceID : nil, isChunk: proto.isChunk,
      marker: proto.marker, messageID: proto.hasMessageID ? MessageIDData(proto.messageID) : nil,
      origin: proto.hasMeridianOrigin ? OriginStamp(proto.meridianOrigin) : nil,
      txnLeastBits: proto.txnidLeastBits, txnMostBits: proto.txnidMostBits)
  }
}

extension SendCommand {
  static func decode(_ reader: inout ProtobufReader) throws(PulsarWireError) -> SendCommand {
    var command = SendCommand(producerID: 0, sequenceID: 0)
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
      case 24: command.numMessages = try reader.int32()
      case 32: command.txnLeastBits = try reader.varint()
      case 40: command.txnMostBits = try reader.varint()
      case 48: command.highestSequenceID = try reader.varint()
      case 56: command.isChunk = try reader.bool()
      case 64: command.marker = try reader.bool()
      case 74:
        var nested = try reader.nested()
        command.messageID = try MessageIDData.decode(&nested, merging: command.messageID)
      case 8002:
        var nested = try reader.nested()
        command.origin = try OriginStamp.decode(&nested, merging: command.origin)
      default: try reader.skip(tag)
      }
    }
    guard hasProducer else { throw .missingField("CommandSend.producer_id") }
    guard hasSequence else { throw .missingField("CommandSend.sequence_id") }
    return command
  }

  var encodedSize: Int {
    var size = ProtobufSize.field(8, producerID) + ProtobufSize.field(16, sequenceID)
    if numMessages != 1 { size += ProtobufSize.field(24, numMessages) }
    if txnLeastBits != 0 { size += ProtobufSize.field(32, txnLeastBits) }
    if txnMostBits != 0 { size += ProtobufSize.field(40, txnMostBits) }
    if let highestSequenceID { size += ProtobufSize.field(48, highestSequenceID) }
    if isChunk { size += ProtobufSize.field(56, true) }
    if marker { size += ProtobufSize.field(64, true) }
    if let messageID { size += ProtobufSize.delimited(74, messageID.encodedSize) }
    if let origin { size += ProtobufSize.delimited(8002, origin.encodedSize) }
    return size
  }

  func write(to writer: inout ProtobufWriter) {
    writer.field(8, producerID)
    writer.field(16, sequenceID)
    if numMessages != 1 { writer.field(24, numMessages) }
    if txnLeastBits != 0 { writer.field(32, txnLeastBits) }
    if txnMostBits != 0 { writer.field(40, txnMostBits) }
    if let highestSequenceID { writer.field(48, highestSequenceID) }
    if isChunk { writer.field(56, true) }
    if marker { writer.field(64, true) }
    if let messageID {
      writer.field(74, UInt64(messageID.encodedSize))
      messageID.write(to: &writer)
    }
    if let origin {
      writer.field(8002, UInt64(origin.encodedSize))
      origin.write(to: &writer)
    }
  }
}

import NIOCore

/// ACK: a consumer is done with messages (`CommandAck`).
public struct AckCommand: Hashable, Sendable {
  /// Which messages an acknowledgement covers.
  public enum AckType: UInt8, Hashable, Sendable {
    /// The named ones.
    case individual = 0
    /// The named one and everything before it.
    case cumulative = 1
  }

  /// The consumer, as numbered by the client on this connection.
  public var consumerID: UInt64
  /// Which messages are covered.
  public var type: AckType
  /// The positions. An entry id may be -1, which acknowledges nothing.
  public var messageIDs: [MessageIDData]
  /// Why the consumer could not use the message, which it acknowledges all the same.
  public var validationError: ProtoCommandAck.ValidationError?
  /// Properties to keep with the subscription's position.
  public var properties: [ProtoKeyLongValue]
  /// Lower half of the transaction id; 0 for none.
  public var txnLeastBits: UInt64
  /// Upper half of the transaction id; 0 for none.
  public var txnMostBits: UInt64
  /// Set by a client that waits for ACK_RESPONSE.
  public var requestID: UInt64?

  /// Creates the command.
  public init(
    consumerID: UInt64, type: AckType, messageIDs: [MessageIDData],
    validationError: ProtoCommandAck.ValidationError? = nil, properties: [ProtoKeyLongValue] = [],
    txnLeastBits: UInt64 = 0, txnMostBits: UInt64 = 0, requestID: UInt64? = nil
  ) {
    self.consumerID = consumerID
    self.type = type
    self.messageIDs = messageIDs
    self.validationError = validationError
    self.properties = properties
    self.txnLeastBits = txnLeastBits
    self.txnMostBits = txnMostBits
    self.requestID = requestID
  }

  /// The value of the generated type.
  public init(_ proto: ProtoCommandAck) {
    self.init(
      consumerID: proto.consumerID, type: proto.ackType == .cumulative ? .cumulative : .individual,
      messageIDs: proto.messageID.map { MessageIDData($0) },
      validationError: proto.hasValidationError ? proto.validationError : nil, properties: proto.properties,
      txnLeastBits: proto.txnidLeastBits, txnMostBits: proto.txnidMostBits,
      requestID: proto.hasRequestID ? proto.requestID : nil)
  }
}

extension AckCommand {
  static func decode(_ reader: inout ProtobufReader) throws(PulsarWireError) -> AckCommand {
    var command = AckCommand(consumerID: 0, type: .individual, messageIDs: [])
    var hasConsumer = false
    var hasType = false
    while let tag = try reader.tag() {
      switch tag {
      case 8:
        command.consumerID = try reader.varint()
        hasConsumer = true
      case 16:
        guard let type = AckType(rawValue: UInt8(clamping: try reader.varint())) else {
          throw .invalidField("CommandAck.ack_type")
        }
        command.type = type
        hasType = true
      case 26:
        var nested = try reader.nested()
        command.messageIDs.append(try MessageIDData.decode(&nested))
      case 32:
        // A reason that this version does not know is still an acknowledgement.
        if let error = ProtoCommandAck.ValidationError(rawValue: Int(try reader.int32())) {
          command.validationError = error
        }
      case 42:
        var nested = try reader.nested()
        command.properties.append(try ProtoKeyLongValue.decode(&nested))
      case 48: command.txnLeastBits = try reader.varint()
      case 56: command.txnMostBits = try reader.varint()
      case 64: command.requestID = try reader.varint()
      default: try reader.skip(tag)
      }
    }
    guard hasConsumer else { throw .missingField("CommandAck.consumer_id") }
    guard hasType else { throw .missingField("CommandAck.ack_type") }
    return command
  }

  var encodedSize: Int {
    var size = ProtobufSize.field(8, consumerID) + 2
    for id in messageIDs { size += ProtobufSize.delimited(26, id.encodedSize) }
    if let validationError { size += ProtobufSize.field(32, Int64(validationError.rawValue)) }
    for property in properties { size += ProtobufSize.delimited(42, property.handSize) }
    if txnLeastBits != 0 { size += ProtobufSize.field(48, txnLeastBits) }
    if txnMostBits != 0 { size += ProtobufSize.field(56, txnMostBits) }
    if let requestID { size += ProtobufSize.field(64, requestID) }
    return size
  }

  func write(to writer: inout ProtobufWriter) {
    writer.field(8, consumerID)
    writer.field(16, UInt64(type.rawValue))
    for id in messageIDs {
      writer.field(26, UInt64(id.encodedSize))
      id.write(to: &writer)
    }
    if let validationError { writer.field(32, Int64(validationError.rawValue)) }
    for property in properties {
      writer.field(42, UInt64(property.handSize))
      writer.field(10, property.key)
      writer.field(16, property.value)
    }
    if txnLeastBits != 0 { writer.field(48, txnLeastBits) }
    if txnMostBits != 0 { writer.field(56, txnMostBits) }
    if let requestID { writer.field(64, requestID) }
  }
}

extension ProtoKeyLongValue {
  fileprivate static func decode(_ reader: inout ProtobufReader) throws(PulsarWireError) -> ProtoKeyLongValue {
    var pair = ProtoKeyLongValue()
    while let tag = try reader.tag() {
      switch tag {
      case 10: pair.key = try reader.string("KeyLongValue.key")
      case 16: pair.value = try reader.varint()
      default: try reader.skip(tag)
      }
    }
    guard pair.hasKey else { throw .missingField("KeyLongValue.key") }
    guard pair.hasValue else { throw .missingField("KeyLongValue.value") }
    return pair
  }

  fileprivate var handSize: Int { ProtobufSize.field(10, key) + ProtobufSize.field(16, value) }
}

import NIOCore

/// A position as a client sees it (`MessageIdData`).
///
/// Ledger and entry ids are signed, although the protocol carries them as `uint64`: "earliest" is (-1, -1), "latest" is
/// (2^63-1, 2^63-1), and clients do send (ledger, -1).
public struct MessageIDData: Hashable, Sendable {
  /// The ledger.
  public var ledgerID: Int64
  /// The entry in the ledger; may be -1.
  public var entryID: Int64
  /// The topic partition, -1 for none.
  public var partition: Int32
  /// The message within a batch, -1 for none.
  public var batchIndex: Int32
  /// The number of messages in the batch, if the sender said so.
  public var batchSize: Int32?
  /// Bits of a batch's messages that are still not acknowledged, 64 to a word; empty for a whole entry.
  public var ackSet: [Int64]
  // At most one element: a value type cannot contain itself.
  private var firstChunk: [MessageIDData] = []

  /// The first chunk's position, on the id of a chunked message's last chunk.
  public var firstChunkMessageID: MessageIDData? {
    get { firstChunk.first }
    set { firstChunk = newValue.map { [$0] } ?? [] }
  }

  /// Creates a position.
  public init(
    ledgerID: Int64, entryID: Int64, partition: Int32 = -1, batchIndex: Int32 = -1, batchSize: Int32? = nil,
    ackSet: [Int64] = [], firstChunkMessageID: MessageIDData? = nil
  ) {
    self.ledgerID = ledgerID
    self.entryID = entryID
    self.partition = partition
    self.batchIndex = batchIndex
    self.batchSize = batchSize
    self.ackSet = ackSet
    self.firstChunkMessageID = firstChunkMessageID
  }

  /// The value of the generated type.
  public init(_ proto: ProtoMessageIdData) {
    self.init(
      ledgerID: Int64(bitPattern: proto.ledgerID), entryID: Int64(bitPattern: proto.entryID),
      partition: proto.partition, batchIndex: proto.batchIndex,
      batchSize: proto.hasBatchSize ? proto.batchSize : nil, ackSet: proto.ackSet,
      firstChunkMessageID: proto.hasFirstChunkMessageID ? MessageIDData(proto.firstChunkMessageID) : nil)
  }

  /// The generated type's value, for cold commands. Fields at their default are left unset.
  public var proto: ProtoMessageIdData {
    var proto = ProtoMessageIdData()
    proto.ledgerID = UInt64(bitPattern: ledgerID)
    proto.entryID = UInt64(bitPattern: entryID)
    if partition != -1 { proto.partition = partition }
    if batchIndex != -1 { proto.batchIndex = batchIndex }
    if let batchSize { proto.batchSize = batchSize }
    proto.ackSet = ackSet
    if let firstChunkMessageID { proto.firstChunkMessageID = firstChunkMessageID.proto }
    return proto
  }
}

extension MessageIDData {
  /// How deep first-chunk ids may nest: the protocol has a use for one level.
  static let maximumDepth = 4

  /// Decodes an embedded id; a second occurrence of the same field merges into the first, as protobuf asks.
  static func decode(
    _ reader: inout ProtobufReader, merging earlier: MessageIDData? = nil, depth: Int = 0
  ) throws(PulsarWireError) -> MessageIDData {
    guard depth < maximumDepth else { throw .invalidField("MessageIdData.first_chunk_message_id") }
    var id = earlier ?? MessageIDData(ledgerID: 0, entryID: 0)
    var hasLedger = earlier != nil
    var hasEntry = hasLedger
    while let tag = try reader.tag() {
      switch tag {
      case 8:
        id.ledgerID = try reader.int64()
        hasLedger = true
      case 16:
        id.entryID = try reader.int64()
        hasEntry = true
      case 24: id.partition = try reader.int32()
      case 32: id.batchIndex = try reader.int32()
      case 40: id.ackSet.append(try reader.int64())
      case 42: try reader.packed(into: &id.ackSet) { Int64(bitPattern: $0) }
      case 48: id.batchSize = try reader.int32()
      case 58:
        var nested = try reader.nested()
        id.firstChunkMessageID = try decode(&nested, merging: id.firstChunkMessageID, depth: depth + 1)
      default: try reader.skip(tag)
      }
    }
    guard hasLedger else { throw .missingField("MessageIdData.ledgerId") }
    guard hasEntry else { throw .missingField("MessageIdData.entryId") }
    return id
  }

  var encodedSize: Int {
    var size = ProtobufSize.field(8, ledgerID) + ProtobufSize.field(16, entryID)
    if partition != -1 { size += ProtobufSize.field(24, partition) }
    if batchIndex != -1 { size += ProtobufSize.field(32, batchIndex) }
    for word in ackSet { size += ProtobufSize.field(40, word) }
    if let batchSize { size += ProtobufSize.field(48, batchSize) }
    if let firstChunkMessageID { size += ProtobufSize.delimited(58, firstChunkMessageID.encodedSize) }
    return size
  }

  func write(to writer: inout ProtobufWriter) {
    writer.field(8, ledgerID)
    writer.field(16, entryID)
    if partition != -1 { writer.field(24, partition) }
    if batchIndex != -1 { writer.field(32, batchIndex) }
    for word in ackSet { writer.field(40, word) }
    if let batchSize { writer.field(48, batchSize) }
    if let firstChunkMessageID {
      writer.field(58, UInt64(firstChunkMessageID.encodedSize))
      firstChunkMessageID.write(to: &writer)
    }
  }
}

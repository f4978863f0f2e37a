import NIOCore

/// Where an entry came from: the key of its watermark (region, incarnation) and its position there (`MeridianOrigin`).
///
/// It travels in SEND, comes back as the watermark of SEND_RECEIPT, and is stored in front of the entry.
public struct OriginStamp: Hashable, Sendable {
  /// Name of the region where a client published the entry.
  public var region: String
  /// The region's incarnation: a region rebuilt under the same name has another.
  public var incarnation: UInt64
  /// The entry's ledger in its origin.
  public var ledgerID: Int64
  /// The entry's id in that ledger.
  public var entryID: Int64
  /// Ledger of the entry that the origin sent before this one, -1 for the first.
  public var previousLedgerID: Int64
  /// Entry that the origin sent before this one, -1 for the first.
  public var previousEntryID: Int64

  /// Creates a stamp; without a previous position it is the first of its stream.
  public init(
    region: String, incarnation: UInt64, ledgerID: Int64, entryID: Int64, previousLedgerID: Int64 = -1,
    previousEntryID: Int64 = -1
  ) {
    self.region = region
    self.incarnation = incarnation
    self.ledgerID = ledgerID
    self.entryID = entryID
    self.previousLedgerID = previousLedgerID
    self.previousEntryID = previousEntryID
  }

  /// The value of the generated type; absent positions are -1.
  public init(_ proto: ProtoMeridianOrigin) {
    self.init(
      region: proto.region, incarnation: proto.incarnation,
      ledgerID: proto.hasLedgerID ? proto.ledgerID : -1, entryID: proto.hasEntryID ? proto.entryID : -1,
      previousLedgerID: proto.hasPreviousLedgerID ? proto.previousLedgerID : -1,
      previousEntryID: proto.hasPreviousEntryID ? proto.previousEntryID : -1)
  }

  /// The generated type's value, for cold commands. A previous position of -1 is left unset.
  public var proto: ProtoMeridianOrigin {
    var proto = ProtoMeridianOrigin()
    proto.region = region
    proto.incarnation = incarnation
    proto.ledgerID = ledgerID
    proto.entryID = entryID
    if previousLedgerID != -1 { proto.previousLedgerID = previousLedgerID }
    if previousEntryID != -1 { proto.previousEntryID = previousEntryID }
    return proto
  }
}

extension OriginStamp {
  static func decode(
    _ reader: inout ProtobufReader, merging earlier: OriginStamp? = nil
  ) throws(PulsarWireError) -> OriginStamp {
    var stamp = earlier ?? OriginStamp(region: "", incarnation: 0, ledgerID: -1, entryID: -1)
    while let tag = try reader.tag() {
      switch tag {
      case 10: stamp.region = try reader.string("MeridianOrigin.region")
      case 16: stamp.incarnation = try reader.varint()
      case 24: stamp.ledgerID = try reader.int64()
      case 32: stamp.entryID = try reader.int64()
      case 40: stamp.previousLedgerID = try reader.int64()
      case 48: stamp.previousEntryID = try reader.int64()
      default: try reader.skip(tag)
      }
    }
    return stamp
  }

  var encodedSize: Int {
    var size =
      ProtobufSize.field(10, region) + ProtobufSize.field(16, incarnation) + ProtobufSize.field(24, ledgerID)
      + ProtobufSize.field(32, entryID)
    if previousLedgerID != -1 { size += ProtobufSize.field(40, previousLedgerID) }
    if previousEntryID != -1 { size += ProtobufSize.field(48, previousEntryID) }
    return size
  }

  func write(to writer: inout ProtobufWriter) {
    writer.field(10, region)
    writer.field(16, incarnation)
    writer.field(24, ledgerID)
    writer.field(32, entryID)
    if previousLedgerID != -1 { writer.field(40, previousLedgerID) }
    if previousEntryID != -1 { writer.field(48, previousEntryID) }
  }
}

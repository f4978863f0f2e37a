import NIOCore

/// What garbage collection has to know of a ledger's metadata (BookKeeper's format version 3; the whole of it belongs to the
/// ledger client): whether it is closed, and which bookies any of its segments names.
struct LedgerMembers: Equatable {
  private static let prefix = Array("BookieMetadataFormatVersion\t3\n".utf8)
  private static let closed: UInt64 = 3

  var isClosed = false
  var bookies: Set<String> = []

  /// Nil if the bytes are not such metadata: then nothing may be concluded from them.
  init?(_ bytes: [UInt8]) {
    guard bytes.starts(with: Self.prefix) else { return nil }
    var buffer = ByteBuffer(bytes: bytes.dropFirst(Self.prefix.count))
    guard let length = Self.varint(&buffer), let size = Int(exactly: length),
      var message = buffer.readSlice(length: size), buffer.readableBytes == 0
    else { return nil }
    var hasState = false
    while message.readableBytes > 0 {
      guard let (field, value) = Self.field(&message) else { return nil }
      switch (field, value) {
      case (5, .number(let state)):
        hasState = true
        isClosed = state == Self.closed
      case (6, .bytes(var segment)):
        while segment.readableBytes > 0 {
          guard let (field, value) = Self.field(&segment) else { return nil }
          if field == 1, case .bytes(let name) = value { bookies.insert(String(buffer: name)) }
        }
      default: continue
      }
    }
    guard hasState, !bookies.isEmpty else { return nil }
  }

  private enum Value {
    case number(UInt64)
    case bytes(ByteBuffer)
  }

  private static func field(_ buffer: inout ByteBuffer) -> (UInt64, Value)? {
    guard let tag = varint(&buffer) else { return nil }
    switch tag & 7 {
    case 0: return varint(&buffer).map { (tag >> 3, .number($0)) }
    case 1: return buffer.readInteger(as: UInt64.self).map { (tag >> 3, .number($0)) }
    case 2:
      guard let length = varint(&buffer).flatMap({ Int(exactly: $0) }) else { return nil }
      return buffer.readSlice(length: length).map { (tag >> 3, .bytes($0)) }
    case 5: return buffer.readInteger(as: UInt32.self).map { (tag >> 3, .number(UInt64($0))) }
    default: return nil
    }
  }

  private static func varint(_ buffer: inout ByteBuffer) -> UInt64? {
    var value: UInt64 = 0
    for shift in stride(from: UInt64(0), to: 64, by: 7) {
      guard let byte = buffer.readInteger(as: UInt8.self) else { return nil }
      value |= UInt64(byte & 0x7F) << shift
      if byte < 0x80 { return value }
    }
    return nil
  }
}

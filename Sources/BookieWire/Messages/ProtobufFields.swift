import NIOCore

/// The fields of a message of protocol buffers, in order: as much of that format as the bookie protocol needs.
struct ProtobufFields {
  enum Value {
    case number(UInt64)
    case bytes(ByteBuffer)
    /// Of a kind that no field here has.
    case other
  }

  private var rest: ByteBuffer

  init(_ message: ByteBuffer) {
    rest = message
  }

  /// The next field; nil at the end.
  mutating func next() throws(BookieWireError) -> (number: UInt64, value: Value)? {
    guard rest.readableBytes > 0 else { return nil }
    let tag = try readVarint()
    switch tag & 7 {
    case 0: return (tag >> 3, .number(try readVarint()))
    case 1, 5:
      guard rest.readSlice(length: tag & 7 == 1 ? 8 : 4) != nil else { throw .truncated("a field") }
      return (tag >> 3, .other)
    case 2:
      let length = try readVarint()
      guard length <= UInt64(rest.readableBytes), let bytes = rest.readSlice(length: Int(length)) else {
        throw .truncated("a field")
      }
      return (tag >> 3, .bytes(bytes))
    default: throw .truncated("a field")
    }
  }

  private mutating func readVarint() throws(BookieWireError) -> UInt64 {
    var value: UInt64 = 0
    for shift in stride(from: UInt64(0), to: 64, by: 7) {
      guard let byte = rest.readInteger(as: UInt8.self) else { throw .truncated("a field") }
      value |= UInt64(byte & 0x7F) << shift
      if byte < 0x80 { return value }
    }
    throw .truncated("a field")
  }
}

extension ByteBuffer {
  /// Appends a field with a number.
  mutating func writeField(_ field: UInt64, _ value: UInt64) {
    writeVarint(field << 3)
    writeVarint(value)
  }

  /// Appends a field with bytes.
  mutating func writeField(_ field: UInt64, _ value: ByteBuffer) {
    writeVarint(field << 3 | 2)
    writeVarint(UInt64(value.readableBytes))
    writeImmutableBuffer(value)
  }

  private mutating func writeVarint(_ value: UInt64) {
    var rest = value
    while rest >= 0x80 {
      writeInteger(UInt8(truncatingIfNeeded: rest) | 0x80)
      rest >>= 7
    }
    writeInteger(UInt8(rest))
  }
}

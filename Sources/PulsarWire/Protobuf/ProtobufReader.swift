import NIOCore

/// A cursor over one protobuf message in borrowed memory. It checks every length before it moves.
///
/// Tags are handled as the raw key (`number << 3 | wire type`), so that a `switch` over constants decodes a message and
/// a known number with an unexpected wire type falls into `default`, where it is skipped as protobuf asks.
struct ProtobufReader {
  private let bytes: UnsafeRawBufferPointer
  /// Offset of the next unread byte from the start of the outermost message.
  private(set) var position: Int
  /// Offset behind this message's last byte.
  let end: Int

  init(_ bytes: UnsafeRawBufferPointer) {
    self.init(bytes, position: 0, end: bytes.count)
  }

  private init(_ bytes: UnsafeRawBufferPointer, position: Int, end: Int) {
    self.bytes = bytes
    self.position = position
    self.end = end
  }

  var isAtEnd: Bool { position == end }

  /// The next field's key, or nil at the end of the message.
  @inline(__always)
  mutating func tag() throws(PulsarWireError) -> UInt32? {
    guard position < end else { return nil }
    let raw = try varint()
    guard raw >= 8, raw <= UInt64(UInt32.max) else { throw .malformedTag }
    return UInt32(truncatingIfNeeded: raw)
  }

  @inline(__always)
  mutating func varint() throws(PulsarWireError) -> UInt64 {
    guard position < end else { throw .truncated }
    let first = bytes[position]
    position += 1
    if first < 0x80 { return UInt64(first) }
    return try longVarint(first)
  }

  private mutating func longVarint(_ first: UInt8) throws(PulsarWireError) -> UInt64 {
    var value = UInt64(first & 0x7f)
    var shift: UInt64 = 7
    while shift < 64 {
      guard position < end else { throw .truncated }
      let byte = bytes[position]
      position += 1
      // The tenth byte has room for one bit.
      if shift == 63, byte > 1 { throw .malformedVarint }
      value |= UInt64(byte & 0x7f) << shift
      if byte < 0x80 { return value }
      shift += 7
    }
    throw .malformedVarint
  }

  mutating func int64() throws(PulsarWireError) -> Int64 { Int64(bitPattern: try varint()) }
  mutating func int32() throws(PulsarWireError) -> Int32 { Int32(truncatingIfNeeded: try varint()) }
  mutating func uint32() throws(PulsarWireError) -> UInt32 { UInt32(truncatingIfNeeded: try varint()) }
  mutating func bool() throws(PulsarWireError) -> Bool { try varint() != 0 }

  /// The offsets of a length-delimited value; moves behind it.
  @inline(__always)
  mutating func range() throws(PulsarWireError) -> Range<Int> {
    let length = try varint()
    guard length <= UInt64(end - position) else { throw .truncated }
    let start = position
    position += Int(truncatingIfNeeded: length)
    return start..<position
  }

  /// A reader of the embedded message that comes next; moves behind it.
  mutating func nested() throws(PulsarWireError) -> ProtobufReader {
    let range = try range()
    return ProtobufReader(bytes, position: range.lowerBound, end: range.upperBound)
  }

  mutating func string(_ field: @autoclosure () -> String) throws(PulsarWireError) -> String {
    let range = try range()
    let text = UnsafeRawBufferPointer(rebasing: bytes[range])
    guard let string = String(validating: text, as: UTF8.self) else { throw .invalidUTF8(field()) }
    return string
  }

  /// Like `range()`, and checks that the value is text.
  mutating func textRange(_ field: @autoclosure () -> String) throws(PulsarWireError) -> Range<Int> {
    let range = try range()
    let text = UnsafeRawBufferPointer(rebasing: bytes[range])
    if !text.allSatisfy({ $0 < 0x80 }), String(validating: text, as: UTF8.self) == nil { throw .invalidUTF8(field()) }
    return range
  }

  /// A copy of a length-delimited value.
  mutating func buffer() throws(PulsarWireError) -> ByteBuffer {
    let range = try range()
    return ByteBuffer(bytes: UnsafeRawBufferPointer(rebasing: bytes[range]))
  }

  /// Appends the values of a packed repeated field.
  mutating func packed<T>(
    into values: inout [T], _ convert: (UInt64) -> T
  ) throws(PulsarWireError) {
    var nested = try nested()
    while !nested.isAtEnd { values.append(convert(try nested.varint())) }
  }

  /// Whether the text at `range` has exactly the given bytes.
  func text(at range: Range<Int>, equals other: some Collection<UInt8>) -> Bool {
    bytes[range].elementsEqual(other)
  }

  /// Moves behind the value of a field that this code does not know.
  mutating func skip(_ tag: UInt32) throws(PulsarWireError) {
    switch tag & 7 {
    case 0: _ = try varint()
    case 1: try skip(bytes: 8)
    case 2: _ = try range()
    case 5: try skip(bytes: 4)
    default: throw .malformedTag
    }
  }

  private mutating func skip(bytes count: Int) throws(PulsarWireError) {
    guard count <= end - position else { throw .truncated }
    position += count
  }
}

extension ByteBuffer {
  /// Runs a decoder over the readable bytes; offsets that the reader reports count from the reader index.
  @inline(__always)
  func parse<T>(
    _ body: (inout ProtobufReader) throws(PulsarWireError) -> T
  ) throws(PulsarWireError) -> T {
    try withUnsafeReadableBytes { bytes -> Result<T, PulsarWireError> in
      var reader = ProtobufReader(bytes)
      do throws(PulsarWireError) {
        return .success(try body(&reader))
      } catch {
        return .failure(error)
      }
    }.get()
  }

  /// The slice at offsets that count from the reader index. The range comes from a parser that checked it.
  func subslice(_ range: Range<Int>) -> ByteBuffer {
    getSlice(at: readerIndex + range.lowerBound, length: range.count) ?? ByteBuffer()
  }

  /// The text at offsets that count from the reader index.
  func text(_ range: Range<Int>) -> String {
    getString(at: readerIndex + range.lowerBound, length: range.count) ?? ""
  }
}

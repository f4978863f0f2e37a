import NIOCore

/// Writes one protobuf message into memory of exactly its size. Each write is bounded by that memory, so that a wrong
/// size computation ends in a trap, never in another buffer's bytes.
struct ProtobufWriter {
  private let bytes: UnsafeMutableRawBufferPointer
  private(set) var count = 0

  init(_ bytes: UnsafeMutableRawBufferPointer) {
    self.bytes = bytes
  }

  @inline(__always)
  mutating func byte(_ value: UInt8) {
    precondition(count < bytes.count)
    bytes[count] = value
    count += 1
  }

  mutating func uint16(_ value: UInt16) {
    byte(UInt8(truncatingIfNeeded: value >> 8))
    byte(UInt8(truncatingIfNeeded: value))
  }

  mutating func uint32(_ value: UInt32) {
    precondition(bytes.count - count >= 4)
    bytes.storeBytes(of: value.bigEndian, toByteOffset: count, as: UInt32.self)
    count += 4
  }

  @inline(__always)
  mutating func varint(_ value: UInt64) {
    var value = value
    while value >= 0x80 {
      byte(UInt8(truncatingIfNeeded: value) | 0x80)
      value >>= 7
    }
    byte(UInt8(truncatingIfNeeded: value))
  }

  @inline(__always)
  mutating func field(_ tag: UInt32, _ value: UInt64) {
    varint(UInt64(tag))
    varint(value)
  }

  mutating func field(_ tag: UInt32, _ value: Int64) { field(tag, UInt64(bitPattern: value)) }
  mutating func field(_ tag: UInt32, _ value: Int32) { field(tag, Int64(value)) }
  mutating func field(_ tag: UInt32, _ value: UInt32) { field(tag, UInt64(value)) }
  mutating func field(_ tag: UInt32, _ value: Bool) { field(tag, value ? 1 as UInt64 : 0) }

  mutating func field(_ tag: UInt32, _ value: String) {
    var value = value
    value.withUTF8 { text in
      field(tag, UInt64(text.count))
      copy(UnsafeRawBufferPointer(text))
    }
  }

  mutating func field(_ tag: UInt32, _ value: ByteBuffer) {
    field(tag, UInt64(value.readableBytes))
    value.withUnsafeReadableBytes { copy($0) }
  }

  mutating func copy(_ source: UnsafeRawBufferPointer) {
    precondition(source.count <= bytes.count - count)
    UnsafeMutableRawBufferPointer(rebasing: bytes[count...]).copyMemory(from: source)
    count += source.count
  }
}

/// Sizes of encoded fields, to know a message's length before its first byte is written.
enum ProtobufSize {
  @inline(__always)
  static func varint(_ value: UInt64) -> Int { (70 - (value | 1).leadingZeroBitCount) / 7 }

  @inline(__always)
  static func field(_ tag: UInt32, _ value: UInt64) -> Int { varint(UInt64(tag)) + varint(value) }
  static func field(_ tag: UInt32, _ value: Int64) -> Int { field(tag, UInt64(bitPattern: value)) }
  static func field(_ tag: UInt32, _ value: Int32) -> Int { field(tag, Int64(value)) }
  static func field(_ tag: UInt32, _ value: UInt32) -> Int { field(tag, UInt64(value)) }
  static func field(_ tag: UInt32, _ value: Bool) -> Int { varint(UInt64(tag)) + 1 }
  static func field(_ tag: UInt32, _ value: String) -> Int { delimited(tag, value.utf8.count) }
  static func field(_ tag: UInt32, _ value: ByteBuffer) -> Int { delimited(tag, value.readableBytes) }

  /// Key, length and content of a length-delimited field.
  @inline(__always)
  static func delimited(_ tag: UInt32, _ length: Int) -> Int { field(tag, UInt64(length)) + length }
}

extension ByteBuffer {
  /// Appends exactly `size` bytes that `body` writes.
  @inline(__always)
  mutating func writeProtobuf(size: Int, _ body: (inout ProtobufWriter) -> Void) {
    writeWithUnsafeMutableBytes(minimumWritableBytes: size) { free in
      var writer = ProtobufWriter(UnsafeMutableRawBufferPointer(rebasing: free[..<size]))
      body(&writer)
      precondition(writer.count == size)
      return size
    }
  }
}

import CZlib
import NIOCore

/// zlib streams.
enum Zlib {
  static func compress(_ bytes: ByteBuffer, level: Int?) throws -> ByteBuffer {
    let level = level.map { Int32(min(max($0, 1), 9)) } ?? Z_DEFAULT_COMPRESSION
    var size = compressBound(UInt(bytes.readableBytes))
    let capacity = Int(size)
    var output = ByteBufferAllocator().buffer(capacity: capacity)
    var status = Z_OK
    bytes.withUnsafeReadableBytes { source in
      _ = output.writeWithUnsafeMutableBytes(minimumWritableBytes: capacity) { target in
        status = compress2(
          target.baseAddress?.assumingMemoryBound(to: UInt8.self), &size,
          source.baseAddress?.assumingMemoryBound(to: UInt8.self), UInt(source.count), level)
        return status == Z_OK ? Int(size) : 0
      }
    }
    guard status == Z_OK else { throw CompressionError.library(.zlib, "compress2 returned \(status)") }
    return output
  }

  static func decompress(_ bytes: ByteBuffer, uncompressedSize: Int) throws -> ByteBuffer {
    // One byte more than stated shows data that is longer without decompressing all of it.
    let capacity = uncompressedSize + 1
    var output = ByteBufferAllocator().buffer(capacity: capacity)
    var status = Z_DATA_ERROR
    bytes.withUnsafeReadableBytes { source in
      _ = output.writeWithUnsafeMutableBytes(minimumWritableBytes: capacity) { target in
        var size = UInt(capacity)
        status = uncompress(
          target.baseAddress?.assumingMemoryBound(to: UInt8.self), &size,
          source.baseAddress?.assumingMemoryBound(to: UInt8.self), UInt(source.count))
        return status == Z_OK ? Int(size) : 0
      }
    }
    switch status {
    case Z_OK where output.readableBytes == uncompressedSize: return output
    case Z_OK: throw CompressionError.sizeMismatch(stated: uncompressedSize, actual: output.readableBytes)
    case Z_BUF_ERROR: throw CompressionError.sizeMismatch(stated: uncompressedSize, actual: nil)
    case Z_MEM_ERROR: throw CompressionError.library(.zlib, "out of memory")
    default: throw CompressionError.corrupt(.zlib)
    }
  }
}

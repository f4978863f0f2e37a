import CLZ4
import NIOCore

/// LZ4 blocks.
enum LZ4 {
  static func compress(_ bytes: ByteBuffer) throws -> ByteBuffer {
    let length = bytes.readableBytes
    guard length <= Int(LZ4_MAX_INPUT_SIZE) else {
      throw CompressionError.sizeBeyondLimit(size: length, limit: Int(LZ4_MAX_INPUT_SIZE))
    }
    let bound = Int(LZ4_compressBound(Int32(length)))
    var output = ByteBufferAllocator().buffer(capacity: bound)
    bytes.withUnsafeReadableBytes { source in
      _ = output.writeWithUnsafeMutableBytes(minimumWritableBytes: bound) { target in
        let written = LZ4_compress_default(
          source.baseAddress?.assumingMemoryBound(to: CChar.self),
          target.baseAddress?.assumingMemoryBound(to: CChar.self), Int32(length), Int32(bound))
        return max(0, Int(written))
      }
    }
    guard output.readableBytes > 0 else { throw CompressionError.library(.lz4, "the block could not be written") }
    return output
  }

  static func decompress(_ bytes: ByteBuffer, uncompressedSize: Int) throws -> ByteBuffer {
    guard let inputSize = Int32(exactly: bytes.readableBytes), inputSize > 0,
      let outputSize = Int32(exactly: uncompressedSize)
    else { throw CompressionError.corrupt(.lz4) }
    var output = ByteBufferAllocator().buffer(capacity: max(1, uncompressedSize))
    var status: Int32 = -1
    bytes.withUnsafeReadableBytes { source in
      _ = output.writeWithUnsafeMutableBytes(minimumWritableBytes: max(1, uncompressedSize)) { target in
        status = LZ4_decompress_safe(
          source.baseAddress?.assumingMemoryBound(to: CChar.self),
          target.baseAddress?.assumingMemoryBound(to: CChar.self), inputSize, outputSize)
        return max(0, Int(status))
      }
    }
    guard status >= 0 else { throw CompressionError.corrupt(.lz4) }
    guard Int(status) == uncompressedSize else {
      throw CompressionError.sizeMismatch(stated: uncompressedSize, actual: Int(status))
    }
    return output
  }
}

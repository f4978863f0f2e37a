import CZstd
import NIOCore

/// zstd frames.
enum Zstd {
  static func compress(_ bytes: ByteBuffer, level: Int?) throws -> ByteBuffer {
    let level = Int32(min(max(level ?? Int(ZSTD_defaultCLevel()), 1), 19))
    let context = try ZstdContexts.ofThisThread().compressor()
    let bound = ZSTD_compressBound(bytes.readableBytes)
    var output = ByteBufferAllocator().buffer(capacity: bound)
    var result = 0
    bytes.withUnsafeReadableBytes { source in
      _ = output.writeWithUnsafeMutableBytes(minimumWritableBytes: bound) { target in
        result = ZSTD_compressCCtx(context, target.baseAddress, target.count, source.baseAddress, source.count, level)
        return ZSTD_isError(result) == 0 ? result : 0
      }
    }
    guard ZSTD_isError(result) == 0 else {
      throw CompressionError.library(.zstd, String(cString: ZSTD_getErrorName(result)))
    }
    return output
  }

  static func decompress(_ bytes: ByteBuffer, uncompressedSize: Int) throws -> ByteBuffer {
    // The frame usually knows its size; a lie shows before memory is allocated. The two largest values mean
    // "not stored" and "not a frame".
    let stored = bytes.withUnsafeReadableBytes { ZSTD_getFrameContentSize($0.baseAddress, $0.count) }
    guard stored != UInt64.max - 1 else { throw CompressionError.corrupt(.zstd) }
    if stored != UInt64.max, stored > UInt64(uncompressedSize) {
      throw CompressionError.sizeMismatch(stated: uncompressedSize, actual: Int(clamping: stored))
    }
    let context = try ZstdContexts.ofThisThread().decompressor()
    var output = ByteBufferAllocator().buffer(capacity: max(1, uncompressedSize))
    var result = 0
    bytes.withUnsafeReadableBytes { source in
      _ = output.writeWithUnsafeMutableBytes(minimumWritableBytes: max(1, uncompressedSize)) { target in
        result = ZSTD_decompressDCtx(context, target.baseAddress, uncompressedSize, source.baseAddress, source.count)
        return ZSTD_isError(result) == 0 ? result : 0
      }
    }
    guard ZSTD_isError(result) == 0 else { throw CompressionError.corrupt(.zstd) }
    guard result == uncompressedSize else {
      throw CompressionError.sizeMismatch(stated: uncompressedSize, actual: result)
    }
    return output
  }
}

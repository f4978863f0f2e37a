import CZstd

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#else
  import Darwin
#endif

/// zstd's working memory, kept for each thread: creating it costs more than compressing a small message.
///
/// Confined to the thread that asked for it; freed when that thread ends.
final class ZstdContexts {
  private var compression: OpaquePointer?
  private var decompression: OpaquePointer?

  func compressor() throws -> OpaquePointer {
    if let compression { return compression }
    guard let context = ZSTD_createCCtx() else { throw CompressionError.library(.zstd, "out of memory") }
    compression = context
    return context
  }

  func decompressor() throws -> OpaquePointer {
    if let decompression { return decompression }
    guard let context = ZSTD_createDCtx() else { throw CompressionError.library(.zstd, "out of memory") }
    decompression = context
    return context
  }

  deinit {
    ZSTD_freeCCtx(compression)
    ZSTD_freeDCtx(decompression)
  }

  private static let key: pthread_key_t = {
    var key = pthread_key_t()
    let status = pthread_key_create(&key) { value in
      // Linux hands over an optional, Darwin does not.
      let value: UnsafeMutableRawPointer? = value
      if let value { Unmanaged<ZstdContexts>.fromOpaque(value).release() }
    }
    precondition(status == 0, "The process has no thread-specific key left for zstd's contexts.")
    return key
  }()

  static func ofThisThread() -> ZstdContexts {
    if let value = pthread_getspecific(key) {
      return Unmanaged<ZstdContexts>.fromOpaque(value).takeUnretainedValue()
    }
    let contexts = ZstdContexts()
    pthread_setspecific(key, Unmanaged.passRetained(contexts).toOpaque())
    return contexts
  }
}

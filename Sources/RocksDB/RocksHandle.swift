import CRocksDB

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#else
  import Darwin
#endif

/// An open database of the library, to write to or only to read from; closed when it is forgotten.
final class RocksHandle {
  /// Above every level of the library's own log. It is a file beside the database, and when a message of it met a full
  /// disk, builds with assertions (Debian's are) end the process with the next message.
  private static let noLog: Int32 = 6
  /// What the library's C interface has no function for: space is not taken before it is needed; after an error it is the
  /// owner of the handle who decides when to go on; and that the level above has no name to be saved by is no error.
  private static let withoutSetter = "allow_fallocate=false;max_bgerror_resume_count=0;fail_if_options_file_error=false"

  let database: OpaquePointer
  private let options: OpaquePointer

  /// Opens the database in `path`.
  /// - Parameter isReadOnly: neither takes the lock nor changes a file.
  init(_ path: String, _ settings: RocksOptions, isReadOnly: Bool = false) throws {
    let options = try Self.makeOptions(settings)
    var message: UnsafeMutablePointer<CChar>?
    let database =
      isReadOnly ? rocksdb_open_for_read_only(options, path, 0, &message) : rocksdb_open(options, path, &message)
    guard let database else {
      rocksdb_options_destroy(options)
      throw Self.take(&message, "Opening", path) ?? RocksError("Opening the database in \(path) failed.")
    }
    self.database = database
    self.options = options
    // The options that could not be saved; the library leaves them behind.
    for name in Self.names(in: path) where !isReadOnly && name.hasPrefix("OPTIONS-") && name.hasSuffix(".dbtmp") {
      unlink(path + "/" + name)
    }
  }

  deinit {
    rocksdb_close(database)
    rocksdb_options_destroy(options)
  }

  /// The names of the files in a directory.
  static func names(in path: String) -> [String] {
    guard let directory = opendir(path) else { return [] }
    defer { closedir(directory) }
    var names: [String] = []
    while let entry = readdir(directory) {
      names.append(
        withUnsafePointer(to: &entry.pointee.d_name) {
          $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
        })
    }
    return names
  }

  /// The error that a call of the library left, if it did.
  static func take(
    _ message: inout UnsafeMutablePointer<CChar>?, _ action: String, _ path: String
  ) -> RocksError? {
    guard let text = message else { return nil }
    defer { rocksdb_free(text) }
    message = nil
    return RocksError("\(action) the database in \(path) failed: \(String(cString: text)).")
  }

  private static func adding(_ text: String, to options: OpaquePointer) throws -> OpaquePointer {
    let result = rocksdb_options_create().unsafelyUnwrapped
    var message: UnsafeMutablePointer<CChar>?
    rocksdb_get_options_from_string(options, text, result, &message)
    rocksdb_options_destroy(options)
    guard let text = message else { return result }
    defer { rocksdb_free(text) }
    rocksdb_options_destroy(result)
    throw RocksError("The library does not take its options: \(String(cString: text)).")
  }

  private static func makeOptions(_ settings: RocksOptions) throws -> OpaquePointer {
    let options = rocksdb_options_create().unsafelyUnwrapped
    rocksdb_options_set_create_if_missing(options, settings.createIfMissing ? 1 : 0)
    rocksdb_options_set_write_buffer_size(options, settings.writeBufferSize)
    rocksdb_options_set_max_write_buffer_number(options, Int32(clamping: settings.maxWriteBuffers))
    rocksdb_options_set_max_background_jobs(options, Int32(clamping: settings.maxBackgroundJobs))
    rocksdb_options_set_max_open_files(options, Int32(clamping: settings.maxOpenFiles))
    rocksdb_options_set_max_total_wal_size(options, settings.maxTotalWALSize)
    rocksdb_options_set_bytes_per_sync(options, settings.bytesPerSync)
    rocksdb_options_set_keep_log_file_num(options, 1)
    rocksdb_options_set_info_log_level(options, Self.noLog)
    switch settings.compression {
    case .none: rocksdb_options_set_compression(options, Int32(rocksdb_no_compression))
    case .lz4: rocksdb_options_set_compression(options, Int32(rocksdb_lz4_compression))
    case .zstd: rocksdb_options_set_compression(options, Int32(rocksdb_zstd_compression))
    }
    let table = rocksdb_block_based_options_create()
    rocksdb_block_based_options_set_block_size(table, settings.blockSize)
    if settings.blockCacheSize > 0 {
      let cache = rocksdb_cache_create_lru(settings.blockCacheSize)
      rocksdb_block_based_options_set_block_cache(table, cache)
      rocksdb_cache_destroy(cache)
    }
    if let bits = settings.bloomBitsPerKey {
      rocksdb_block_based_options_set_filter_policy(table, rocksdb_filterpolicy_create_bloom_full(bits))
    }
    rocksdb_options_set_block_based_table_factory(options, table)
    rocksdb_block_based_options_destroy(table)
    return try adding(Self.withoutSetter, to: options)
  }
}

/// How a `RocksDatabase` is opened. The defaults suit small records with point reads and short scans.
public struct RocksOptions: Sendable {
  /// How blocks of the sorted files are compressed.
  public enum BlockCompression: Sendable {
    case none
    case lz4
    case zstd
  }

  /// Creates the database when the directory holds none; otherwise opening fails.
  public var createIfMissing = true
  /// Bytes of one in-memory table before it is written to a sorted file.
  public var writeBufferSize = 16 << 20
  /// The most in-memory tables, the active one included, before writers wait for a flush.
  public var maxWriteBuffers = 3
  /// Bytes of the least-recently-used cache of blocks read from sorted files; 0 means the library's default.
  public var blockCacheSize = 16 << 20
  /// Bytes of one block of a sorted file, before compression.
  public var blockSize = 16 << 10
  /// Bits of the Bloom filter per key (10 gives about 1 % false positives); nil for none.
  public var bloomBitsPerKey: Double? = 10
  /// Threads that flush and compact in the background.
  public var maxBackgroundJobs = 2
  /// Open file descriptors, at most; -1 keeps every sorted file open.
  public var maxOpenFiles = -1
  /// Compression of blocks.
  public var compression = BlockCompression.none
  /// Bytes of write-ahead log, over all log files, before the oldest in-memory table is forced out.
  public var maxTotalWALSize: UInt64 = 64 << 20
  /// Bytes written to a sorted file between two background syncs, so that closing the file does not stall; 0 for never.
  public var bytesPerSync: UInt64 = 1 << 20
  /// Bytes on the disk that changes leave free: one that would go below is refused, before anything of it is written.
  public var reservedSpace = 4 << 20

  /// The defaults.
  public init() {}
}

/// What RocksDB, or the wrapper around it, refused to do.
public struct RocksError: Error, Hashable, CustomStringConvertible, Sendable {
  /// One sentence: what failed, on which database, and the library's own reason.
  public var description: String

  /// Whether the cause is that `RocksDatabase.close` was called.
  public var isClosed: Bool

  /// Whether a change was refused before anything of it was written. After other errors of a change, all or none of it
  /// may have been made: `RocksDatabase.recover` makes certain which.
  public var isRefusal: Bool

  /// Whether the cause is that the disk is full.
  public var isOutOfSpace: Bool {
    // The library gives no number.
    ["No space left on device", "NoSpace", "Disk quota exceeded"].contains { description.contains($0) }
  }

  /// An error with the given sentence.
  public init(_ description: String, isClosed: Bool = false, isRefusal: Bool = false) {
    self.description = description
    self.isClosed = isClosed
    self.isRefusal = isRefusal
  }
}

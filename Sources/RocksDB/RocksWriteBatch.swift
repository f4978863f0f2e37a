import CRocksDB

/// A list of changes that `RocksDatabase.write` applies atomically, in order.
///
/// Not thread-safe: build it on one thread. It may be cleared and used again.
public final class RocksWriteBatch {
  let handle: OpaquePointer

  /// An empty batch.
  public init() {
    handle = rocksdb_writebatch_create()
  }

  deinit {
    rocksdb_writebatch_destroy(handle)
  }

  /// Number of changes.
  public var count: Int { Int(rocksdb_writebatch_count(handle)) }

  /// Whether nothing was added since creation or `clear`.
  public var isEmpty: Bool { count == 0 }

  /// Bytes of the encoded batch.
  public var byteCount: Int {
    var size = 0
    _ = rocksdb_writebatch_data(handle, &size)
    return size
  }

  /// Removes every change, keeping the memory.
  public func clear() {
    rocksdb_writebatch_clear(handle)
  }

  /// Sets `key` to `value`; both are copied.
  public func put(_ key: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer) {
    key.withCharacters { key, keyCount in
      value.withCharacters { value, valueCount in
        rocksdb_writebatch_put(handle, key, keyCount, value, valueCount)
      }
    }
  }

  /// Sets `key` to `value`.
  public func put(_ key: [UInt8], _ value: [UInt8]) {
    key.withUnsafeBytes { key in value.withUnsafeBytes { put(key, $0) } }
  }

  /// Removes `key`; an absent one is no error.
  public func delete(_ key: UnsafeRawBufferPointer) {
    key.withCharacters { rocksdb_writebatch_delete(handle, $0, $1) }
  }

  /// Removes `key`; an absent one is no error.
  public func delete(_ key: [UInt8]) {
    key.withUnsafeBytes { delete($0) }
  }

  /// Removes every key in `start..<end`.
  public func deleteRange(from start: [UInt8], to end: [UInt8]) {
    start.withUnsafeBytes { start in
      end.withUnsafeBytes { end in
        start.withCharacters { start, startCount in
          end.withCharacters { end, endCount in
            rocksdb_writebatch_delete_range(handle, start, startCount, end, endCount)
          }
        }
      }
    }
  }
}

extension UnsafeRawBufferPointer {
  /// Hands out the bytes as C characters; an empty buffer gets a valid address too.
  @inline(__always)
  func withCharacters<R>(_ body: (UnsafePointer<CChar>, Int) throws -> R) rethrows -> R {
    guard let base = baseAddress, count > 0 else {
      var nothing: CChar = 0
      return try body(&nothing, 0)
    }
    return try body(base.assumingMemoryBound(to: CChar.self), count)
  }
}

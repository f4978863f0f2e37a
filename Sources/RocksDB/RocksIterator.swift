import CRocksDB

/// A cursor over the keys in byte order, at a consistent point in time. It lives inside `RocksDatabase.withIterator`.
///
/// Not thread-safe, and it must not leave the closure that received it.
public struct RocksIterator {
  let handle: OpaquePointer

  /// Whether the cursor stands on a key.
  public var isValid: Bool { rocksdb_iter_valid(handle) != 0 }

  /// Moves to the first key.
  public func seekToFirst() { rocksdb_iter_seek_to_first(handle) }

  /// Moves to the last key.
  public func seekToLast() { rocksdb_iter_seek_to_last(handle) }

  /// Moves to the first key at or after `key`.
  public func seek(_ key: UnsafeRawBufferPointer) {
    key.withCharacters { rocksdb_iter_seek(handle, $0, $1) }
  }

  /// Moves to the first key at or after `key`.
  public func seek(_ key: [UInt8]) { key.withUnsafeBytes { seek($0) } }

  /// Moves to the last key at or before `key`.
  public func seekForPrev(_ key: UnsafeRawBufferPointer) {
    key.withCharacters { rocksdb_iter_seek_for_prev(handle, $0, $1) }
  }

  /// Moves to the last key at or before `key`.
  public func seekForPrev(_ key: [UInt8]) { key.withUnsafeBytes { seekForPrev($0) } }

  /// Moves to the following key. The cursor must be valid.
  public func next() { rocksdb_iter_next(handle) }

  /// Moves to the preceding key. The cursor must be valid.
  public func prev() { rocksdb_iter_prev(handle) }

  /// The current key's bytes, valid until the cursor moves; empty when the cursor is not valid.
  public var unsafeKey: UnsafeRawBufferPointer {
    guard isValid else { return UnsafeRawBufferPointer(start: nil, count: 0) }
    var count = 0
    let base = rocksdb_iter_key(handle, &count)
    return UnsafeRawBufferPointer(start: base, count: count)
  }

  /// The current value's bytes, valid until the cursor moves; empty when the cursor is not valid.
  public var unsafeValue: UnsafeRawBufferPointer {
    guard isValid else { return UnsafeRawBufferPointer(start: nil, count: 0) }
    var count = 0
    let base = rocksdb_iter_value(handle, &count)
    return UnsafeRawBufferPointer(start: base, count: count)
  }

  /// A copy of the current key.
  public var key: [UInt8] { Array(unsafeKey) }

  /// A copy of the current value.
  public var value: [UInt8] { Array(unsafeValue) }

  /// Throws when the cursor became invalid because of damage or an I/O error and not because the keys ended.
  public func check() throws {
    var message: UnsafeMutablePointer<CChar>?
    rocksdb_iter_get_error(handle, &message)
    if let message {
      defer { rocksdb_free(message) }
      throw RocksError("Iterating failed: \(String(cString: message)).")
    }
  }
}

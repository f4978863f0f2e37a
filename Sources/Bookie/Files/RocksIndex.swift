import RocksDB

/// The index on a real disk.
final class RocksIndex: KeyValueStore {
  private let database: RocksDatabase

  init(path: String) throws(BookieError) {
    database = try Self.guarded { try RocksDatabase(path: path) }
  }

  func get(_ key: [UInt8]) throws(BookieError) -> [UInt8]? {
    try Self.guarded { try database.get(key) }
  }

  func scan(
    from start: [UInt8], to end: [UInt8]?, fillsCache: Bool,
    _ body: (UnsafeRawBufferPointer, UnsafeRawBufferPointer) throws(BookieError) -> Bool
  ) throws(BookieError) {
    var failure: BookieError?
    try Self.guarded {
      try database.withIterator(upperBound: end, fillCache: fillsCache) { iterator in
        iterator.seek(start)
        while iterator.isValid {
          do throws(BookieError) {
            guard try body(iterator.unsafeKey, iterator.unsafeValue) else { return }
          } catch {
            failure = error
            return
          }
          iterator.next()
        }
        try iterator.check()
      }
    }
    if let failure { throw failure }
  }

  func write(_ changes: KeyValueChanges) throws(BookieError) {
    let batch = RocksWriteBatch()
    for change in changes.list {
      switch change {
      case .put(let key, let value): batch.put(key, value)
      case .delete(let key): batch.delete(key)
      case .deleteRange(let start, let end): batch.deleteRange(from: start, to: end)
      }
    }
    try Self.guarded { try database.write(batch, .synced) }
  }

  func close() { database.close() }

  private static func guarded<R>(_ body: () throws -> R) throws(BookieError) -> R {
    do {
      return try body()
    } catch {
      if let error = error as? RocksError, error.isRefusal, error.isOutOfSpace { throw .indexIsFull("\(error)") }
      throw .index("\(error)")
    }
  }
}

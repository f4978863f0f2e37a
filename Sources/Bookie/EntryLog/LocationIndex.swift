import BookieWire
import NIOCore
import RocksDB

/// Where entries are, what is known of ledgers, and how full logs are: one database, changed in one atomic synced batch per
/// flush. Every method blocks.
final class LocationIndex: Sendable {
  /// The changes of one flush.
  final class Batch {
    fileprivate let batch = RocksWriteBatch()
  }

  private let database: RocksDatabase

  init(path: String) throws(BookieError) {
    do {
      database = try RocksDatabase(path: path)
    } catch {
      throw .index("\(error)")
    }
  }

  func close() { database.close() }

  /// Applies the batch atomically; durable when this returns.
  func write(_ batch: Batch) throws(BookieError) {
    guard !batch.batch.isEmpty else { return }
    try guarded { try database.write(batch.batch, .synced) }
  }

  // MARK: Locations

  /// The run that contains or would contain the entry: the first one whose last entry is not before it.
  func run(ledgerID: Int64, entryID: Int64) throws(BookieError) -> LocationRun? {
    let prefix = Self.key("e", ledgerID)
    return try guarded {
      try database.withIterator(upperBound: RocksDatabase.end(ofPrefix: prefix)) { iterator in
        iterator.seek(prefix + Self.bytes(entryID))
        try iterator.check()
        guard iterator.isValid else { return nil }
        guard let run = LocationRun(encoded: iterator.unsafeValue) else {
          throw RocksError("The location of entry \(ledgerID):\(entryID) is damaged in \(database.path).")
        }
        return run
      }
    }
  }

  func put(_ run: LocationRun, ledgerID: Int64, _ batch: Batch) {
    batch.batch.put(Self.key("e", ledgerID) + Self.bytes(run.last), run.encoded())
  }

  /// Makes room for entries that are added again: the runs that cover them are split. `entries` in order.
  func displace(_ entries: [Int64], ledgerID: Int64, _ batch: Batch) throws(BookieError) {
    var rest = entries[...]
    while let entry = rest.first {
      guard let run = try run(ledgerID: ledgerID, entryID: entry) else { return }
      let inside = rest.prefix { $0 <= run.last }
      rest = rest.dropFirst(inside.count)
      guard inside.contains(where: { $0 >= run.first }) else { continue }
      batch.batch.delete(Self.key("e", ledgerID) + Self.bytes(run.last))
      for piece in run.split(around: Array(inside)) { put(piece, ledgerID: ledgerID, batch) }
    }
  }

  // MARK: Ledgers

  func put(_ ledger: LedgerFenceTable.Ledger, id: Int64, _ batch: Batch) {
    var buffer = ByteBuffer()
    let flags: UInt8 = (ledger.key == nil ? 0 : 1) | (ledger.fence == .none ? 0 : 2) | (ledger.isDeleted ? 4 : 0)
    buffer.writeInteger(flags)
    buffer.writeInteger(ledger.lastFlushed)
    ledger.key?.write(into: &buffer)
    batch.batch.put(Self.key("l", id), Array(buffer.readableBytesView))
  }

  /// Every ledger, deleted ones included.
  func forEachLedger(_ body: (Int64, LedgerFenceTable.Ledger) -> Void) throws(BookieError) {
    try guarded {
      try database.forEach(prefix: Self.key("l"), fillCache: false) { key, value in
        var buffer = ByteBuffer(bytes: value)
        guard
          key.count == 9, let flags = buffer.readInteger(as: UInt8.self), let last = buffer.readInteger(as: Int64.self)
        else { throw RocksError("A ledger's record is damaged in \(database.path).") }
        let ledger = LedgerFenceTable.Ledger(
          key: flags & 1 == 0 ? nil : LedgerMasterKey(reading: &buffer), fence: flags & 2 == 0 ? .none : .durable,
          isDeleted: flags & 4 != 0, lastEntry: last, lastFlushed: last)
        body(key.bigEndian(at: 1, as: Int64.self), ledger)
        return true
      }
    }
  }

  /// Forgets where the entries of a ledger are.
  func removeLocations(ledgerID: Int64, _ batch: Batch) {
    let start = Self.key("e", ledgerID)
    if let end = RocksDatabase.end(ofPrefix: start) { batch.batch.deleteRange(from: start, to: end) }
  }

  // MARK: Logs

  /// Bytes of each ledger in a log.
  func put(usage: [Int64: Int64], logID: UInt32, _ batch: Batch) {
    var buffer = ByteBuffer()
    for (ledger, bytes) in usage { buffer.writeMultipleIntegers(ledger, bytes) }
    batch.batch.put(Self.key("g", Int64(logID)), Array(buffer.readableBytesView))
  }

  func removeUsage(logID: UInt32, _ batch: Batch) {
    batch.batch.delete(Self.key("g", Int64(logID)))
  }

  func usage() throws(BookieError) -> [UInt32: [Int64: Int64]] {
    var logs: [UInt32: [Int64: Int64]] = [:]
    try guarded {
      try database.forEach(prefix: Self.key("g"), fillCache: false) { key, value in
        guard key.count == 9 else { return true }
        var buffer = ByteBuffer(bytes: value)
        var usage: [Int64: Int64] = [:]
        while let (ledger, bytes) = buffer.readMultipleIntegers(as: (Int64, Int64).self) { usage[ledger] = bytes }
        logs[UInt32(truncatingIfNeeded: key.bigEndian(at: 1, as: Int64.self))] = usage
        return true
      }
    }
    return logs
  }

  // MARK: State

  /// Whether a part of the journal was lost, so that nothing negative may be said.
  func isInLimbo() throws(BookieError) -> Bool {
    try guarded { try database.get(Self.key("s")) != nil }
  }

  func putLimbo(_ batch: Batch) {
    batch.batch.put(Self.key("s"), [1])
  }

  // MARK: Inside

  private static func key(_ kind: Character, _ number: Int64? = nil) -> [UInt8] {
    [kind.asciiValue ?? 0] + (number.map(bytes) ?? [])
  }

  private static func bytes(_ number: Int64) -> [UInt8] {
    withUnsafeBytes(of: number.bigEndian) { Array($0) }
  }

  private func guarded<R>(_ body: () throws -> R) throws(BookieError) -> R {
    do {
      return try body()
    } catch {
      throw .index("\(error)")
    }
  }
}

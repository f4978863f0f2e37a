import BookieWire
import NIOConcurrencyHelpers
import NIOCore

/// Where entries are, what is known of ledgers, and how full logs are: one ordered store, changed in one atomic synced batch
/// per flush. Every method blocks.
///
/// Keys: `e ledger 8 last-entry 8` a run, `l ledger 8` a ledger, `g log 8` the bytes of each ledger in a log, `s` the limbo,
/// `f` the highest ledger that is fenced though unknown, `m` the journals' marks as of the last flush, `v` how far
/// verification is.
final class LocationIndex: Sendable {
  /// The changes of one flush.
  final class Batch {
    fileprivate(set) var changes = KeyValueChanges()
    /// The logs that its locations name.
    fileprivate var named: Set<UInt32> = []
  }

  private let store: any KeyValueStore
  private let path: String
  private let names = NIOLockedValueBox(Names())

  /// Logs that were named lately.
  private struct Names {
    /// Since `watchNames`.
    var watched: Set<UInt32> = []
    /// By writes that failed: they may be there, and be seen only when the store was written to again.
    var doubtful: Set<UInt32> = []
  }

  init(path: String, files: any StorageFiles) throws(BookieError) {
    self.path = path
    store = try files.openIndex(path)
  }

  func close() { store.close() }

  /// Applies the batch atomically; durable when this returns.
  func write(_ batch: Batch) throws(BookieError) {
    guard !batch.changes.isEmpty else { return }
    do throws(BookieError) {
      try store.write(batch.changes)
    } catch {
      names.withLockedValue { $0.doubtful.formUnion(batch.named) }
      throw error
    }
    names.withLockedValue { names in
      names.watched.formUnion(batch.named)
      names.watched.formUnion(names.doubtful)
      names.doubtful = []
    }
  }

  // MARK: Locations

  /// The run that contains or would contain the entry: the first one whose last entry is not before it.
  func run(ledgerID: Int64, entryID: Int64) throws(BookieError) -> LocationRun? {
    var found: LocationRun?
    try forEachRun(ledgerID: ledgerID, from: entryID) { run throws(BookieError) in
      found = run
      return false
    }
    return found
  }

  /// Calls `body` with the runs of a ledger in order, beginning with the one that contains or follows `entryID`, until it
  /// returns false.
  func forEachRun(
    ledgerID: Int64, from entryID: Int64 = 0, _ body: (LocationRun) throws(BookieError) -> Bool
  ) throws(BookieError) {
    let prefix = Self.key("e", ledgerID)
    let path = path
    try store.scan(from: prefix + Self.bytes(entryID), to: Self.end(of: prefix)) { key, value throws(BookieError) in
      guard let run = LocationRun(encoded: value), key.count == 17, run.last == key.bigEndian(at: 9, as: Int64.self)
      else { throw .index("The location of entries of ledger \(ledgerID) is damaged in \(path).") }
      return try body(run)
    }
  }

  /// Some runs of all ledgers in order, from behind the given place on; with the place behind them, nil at the end.
  func runs(
    after place: LocationPlace, limit: Int
  ) throws(BookieError) -> (runs: [(ledgerID: Int64, run: LocationRun)], next: LocationPlace?) {
    var runs: [(ledgerID: Int64, run: LocationRun)] = []
    var next: LocationPlace?
    let path = path
    let start = Self.key("e", place.ledgerID) + Self.bytes(place.entryID)
    let end = Self.end(of: Self.key("e"))
    try store.scan(from: start, to: end, fillsCache: false) { key, value throws(BookieError) in
      guard key.count == 17, let run = LocationRun(encoded: value) else {
        throw .index("A location is damaged in \(path).")
      }
      let ledgerID = key.bigEndian(at: 1, as: Int64.self)
      guard runs.count < limit else {
        next = LocationPlace(ledgerID: ledgerID, entryID: key.bigEndian(at: 9, as: Int64.self))
        return false
      }
      runs.append((ledgerID, run))
      return true
    }
    return (runs, next)
  }

  /// Calls `body` with the ledger, the log and, if it wants it, the run of some locations in order, from the given place on.
  /// Returns the place behind them, nil at the end.
  func forEachLocation(
    after place: LocationPlace, limit: Int, _ body: (Int64, UInt32, () -> LocationRun?) -> Void
  ) throws(BookieError) -> LocationPlace? {
    var next: LocationPlace?
    var count = 0
    let path = path
    let start = Self.key("e", place.ledgerID) + Self.bytes(place.entryID)
    let end = Self.end(of: Self.key("e"))
    try store.scan(from: start, to: end, fillsCache: false) { key, value throws(BookieError) in
      guard key.count == 17, value.count >= 16 else { throw .index("A location is damaged in \(path).") }
      let ledgerID = key.bigEndian(at: 1, as: Int64.self)
      guard count < limit else {
        next = LocationPlace(ledgerID: ledgerID, entryID: key.bigEndian(at: 9, as: Int64.self))
        return false
      }
      count += 1
      body(ledgerID, value.bigEndian(at: 0, as: UInt32.self), { LocationRun(encoded: value) })
      return true
    }
    return next
  }

  /// Begins to note, anew, which logs are named by what is written.
  func watchNames() {
    names.withLockedValue { $0.watched = [] }
  }

  /// The logs that were, or may have been, named since `watchNames`. Whoever asks must be the one that writes.
  var watchedNames: Set<UInt32> { names.withLockedValue { $0.watched.union($0.doubtful) } }

  func put(_ run: LocationRun, ledgerID: Int64, _ batch: Batch) {
    batch.named.insert(run.logID)
    batch.changes.put(Self.key("e", ledgerID) + Self.bytes(run.last), run.encoded())
  }

  func remove(_ run: LocationRun, ledgerID: Int64, _ batch: Batch) {
    batch.changes.delete(Self.key("e", ledgerID) + Self.bytes(run.last))
  }

  /// Makes room for entries that are added again: the runs that cover them are split. `entries` in order.
  /// - Returns: the bytes that are garbage in each log from now on.
  func displace(_ entries: [Int64], ledgerID: Int64, _ batch: Batch) throws(BookieError) -> [UInt32: Int64] {
    var garbage: [UInt32: Int64] = [:]
    var rest = entries[...]
    while let entry = rest.first {
      guard let run = try run(ledgerID: ledgerID, entryID: entry) else { return garbage }
      let inside = rest.prefix { $0 <= run.last }
      rest = rest.dropFirst(inside.count)
      guard inside.contains(where: { $0 >= run.first }) else { continue }
      remove(run, ledgerID: ledgerID, batch)
      var kept = 0
      for piece in run.split(around: Array(inside)) {
        put(piece, ledgerID: ledgerID, batch)
        kept += piece.byteCount
      }
      garbage[run.logID, default: 0] += Int64(run.byteCount - kept)
    }
    return garbage
  }

  /// Forgets where the entries of a ledger are.
  func removeLocations(ledgerID: Int64, _ batch: Batch) {
    let start = Self.key("e", ledgerID)
    if let end = Self.end(of: start) { batch.changes.deleteRange(from: start, to: end) }
  }

  // MARK: Ledgers

  func put(_ ledger: LedgerFenceTable.Ledger, id: Int64, _ batch: Batch) {
    batch.changes.put(Self.key("l", id), LedgerRecord.encode(ledger))
  }

  /// Forgets that a ledger was ever here.
  func remove(ledgerID: Int64, _ batch: Batch) {
    batch.changes.delete(Self.key("l", ledgerID))
  }

  /// Every ledger, deleted ones included.
  func forEachLedger(_ body: (Int64, LedgerFenceTable.Ledger) -> Void) throws(BookieError) {
    let path = path
    try store.scan(from: Self.key("l"), to: Self.end(of: Self.key("l"))) { key, value throws(BookieError) in
      guard key.count == 9, let ledger = LedgerRecord.decode(value) else {
        throw .index("A ledger's record is damaged in \(path).")
      }
      body(key.bigEndian(at: 1, as: Int64.self), ledger)
      return true
    }
  }

  // MARK: Logs

  /// Bytes of each ledger in a log.
  func put(usage: LogLedgers, logID: UInt32, _ batch: Batch) {
    batch.changes.put(Self.key("g", Int64(logID)), usage.encoded())
  }

  func removeUsage(logID: UInt32, _ batch: Batch) {
    batch.changes.delete(Self.key("g", Int64(logID)))
  }

  func usage() throws(BookieError) -> [UInt32: LogLedgers] {
    var logs: [UInt32: LogLedgers] = [:]
    try store.scan(from: Self.key("g"), to: Self.end(of: Self.key("g"))) { key, value throws(BookieError) in
      // One that is missing is made from the locations.
      guard key.count == 9, let usage = LogLedgers(encoded: value) else { return true }
      logs[UInt32(truncatingIfNeeded: key.bigEndian(at: 1, as: Int64.self))] = usage
      return true
    }
    return logs
  }

  // MARK: State

  /// What holds for ledgers that have no record here.
  func unknownLedgers() throws(BookieError) -> UnknownLedgers {
    var unknown = UnknownLedgers()
    if let bytes = try store.get(Self.key("s")) { unknown.limbo = .through(Self.number(bytes)) }
    if let bytes = try store.get(Self.key("f")) { unknown.fencedThrough = Self.number(bytes) }
    return unknown
  }

  func put(_ unknown: UnknownLedgers, _ batch: Batch) {
    switch unknown.limbo {
    case .none: batch.changes.delete(Self.key("s"))
    case .through(let last): batch.changes.put(Self.key("s"), Self.bytes(last))
    }
    batch.changes.put(Self.key("f"), Self.bytes(unknown.fencedThrough))
  }

  /// The marks that came with the last flush; nil before the first one.
  func marks() throws(BookieError) -> [JournalMark]? {
    guard let bytes = try store.get(Self.key("m")) else { return nil }
    guard let marks = CheckpointFile.decode(bytes) else { throw .index("The marks are damaged in \(path).") }
    return marks
  }

  /// Notes in the same batch as what was flushed how far the journals are flushed: marks on disk that are later prove that a
  /// part of the index is lost.
  func put(_ marks: [JournalMark], _ batch: Batch) {
    batch.changes.put(Self.key("m"), marks.flatMap { $0.encoded() })
  }

  /// How far verification is; nil if that was never noted.
  func scrubRecord() throws(BookieError) -> ScrubRecord? {
    try store.get(Self.key("v")).flatMap { ScrubRecord.decode($0) }
  }

  func put(_ record: ScrubRecord, _ batch: Batch) {
    batch.changes.put(Self.key("v"), record.encoded())
  }

  // MARK: Inside

  private static func key(_ kind: Character, _ number: Int64? = nil) -> [UInt8] {
    [kind.asciiValue ?? 0] + (number.map(bytes) ?? [])
  }

  /// The number that `bytes` are; the highest one if they are none, which is the safe side.
  private static func number(_ bytes: [UInt8]) -> Int64 {
    bytes.withUnsafeBytes { $0.count == 8 ? $0.bigEndian(at: 0, as: Int64.self) : Int64.max }
  }

  private static func bytes(_ number: Int64) -> [UInt8] {
    withUnsafeBytes(of: number.bigEndian) { Array($0) }
  }

  /// The smallest key behind all that begin with `prefix`.
  private static func end(of prefix: [UInt8]) -> [UInt8]? {
    guard let last = prefix.lastIndex(where: { $0 != 0xFF }) else { return nil }
    var end = Array(prefix[...last])
    end[last] += 1
    return end
  }
}

/// A place in the order of all locations.
struct LocationPlace: Equatable, Sendable {
  var ledgerID: Int64 = 0
  var entryID: Int64 = 0
}

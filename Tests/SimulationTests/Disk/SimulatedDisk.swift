import Foundation

@testable import Bookie

/// The disks of one bookie, in memory and from one seed: a crash loses un-synced sectors and names one by one, writes meet a
/// full disk, reads fail for a while, synced bits flip, and everything can fail from one change on.
///
/// For one thread only.
final class SimulatedDisk: StorageFiles, @unchecked Sendable {
  /// Promises that the disk breaks, in place of a bookie that would forget to ask for them.
  struct Lies: OptionSet {
    let rawValue: Int
    static let journalSync = Lies(rawValue: 1)
    static let entryLogSync = Lies(rawValue: 2)
    static let directorySync = Lies(rawValue: 4)
    static let indexSync = Lies(rawValue: 8)
    /// What is known of ledgers is not stored unless entries are.
    static let ledgersAlone = Lies(rawValue: 16)
    /// While compaction runs, the log that was read last is gone before a copy is synced.
    static let compactionSource = Lies(rawValue: 32)
  }

  let chance: Chance
  let tally: Tally
  var lies: Lies = []
  /// Most bytes in all files.
  var capacity = Int.max
  /// The number of the change at which the process dies.
  var diesAt: Int?
  /// Nothing can be changed any more before a crash.
  private(set) var isDead = false
  /// Reads of entry logs that fail, of a thousand.
  var failingReads = 0
  /// Puts other bytes in place of those that are written.
  var substitute: ((_ path: String) -> [UInt8]?)?
  /// Whether entry logs are being compacted.
  var isCompacting: () -> Bool = { false }
  private(set) var changes = 0
  private var lastLogRead: String?
  private var names: [String: SimulatedNode] = [:]
  private var durableNames: [String: SimulatedNode] = [:]
  private var directories: Set<String> = []
  let index = SimulatedIndex()

  init(_ chance: Chance, _ tally: Tally) {
    self.chance = chance
    self.tally = tally
  }

  // MARK: Faults

  /// Nothing reaches the disk any more.
  func kill() { isDead = true }

  /// What a crash leaves.
  func crash() {
    let before = durableNames
    // A file that was renamed is under the one name or the other.
    var decided: [ObjectIdentifier: Bool] = [:]
    for name in Set(names.keys).union(before.keys).sorted() where names[name] !== before[name] {
      guard let node = names[name] ?? before[name] else { continue }
      let isKept = decided[ObjectIdentifier(node)] ?? chance.percent(50)
      decided[ObjectIdentifier(node)] = isKept
      if isKept { durableNames[name] = names[name] } else { tally.note("lost names") }
    }
    names = durableNames
    for name in names.keys.sorted() { names[name]?.crash(chance, tally) }
    index.crash()
    isDead = false
    diesAt = nil
  }

  /// Flips a synced bit of an entry log. Returns whether there was one.
  func flipLog() -> Bool {
    guard flip({ $0.hasSuffix(".log") }) else { return false }
    tally.note("flipped bits in entry logs")
    return true
  }

  /// Flips a bit of the marks or of a cookie.
  func flipSmallFile() -> Bool {
    guard flip({ $0.hasSuffix("/lastMark") || $0.hasSuffix("/bookie-cookie") }) else { return false }
    tally.note("flipped bits in marks and cookies")
    return true
  }

  private func flip(_ isMeant: (String) -> Bool) -> Bool {
    let paths = names.keys.filter { isMeant($0) && names[$0]?.isDirty == false }.sorted()
    guard !paths.isEmpty, let node = names[chance.pick(paths)], !node.bytes.isEmpty else { return false }
    node.flip(at: chance.number(0...node.bytes.count - 1), bit: chance.number(0...7))
    return true
  }

  /// Flips a bit of a record of a journal: of the last one, too, which the stamps of its sectors tell from a torn write.
  func flipJournal() -> Bool {
    let paths = names.keys.filter { $0.hasSuffix(".journal") && names[$0]?.isDirty == false }.sorted()
    guard !paths.isEmpty, let node = names[chance.pick(paths)] else { return false }
    var copy = node.bytes
    let records = copy.withUnsafeMutableBytes { bytes -> [Range<Int>] in
      guard let header = JournalFormat.parseHeader(UnsafeRawBufferPointer(bytes)) else { return [] }
      var records: [Range<Int>] = []
      var scan = JournalScan(logID: header.logID, expected: nil)
      while case .record(let payload, _) = scan.next(bytes) {
        // A marker has nothing to lose.
        if !payload.isEmpty { records.append(payload) }
      }
      return records
    }
    guard !records.isEmpty else { return false }
    let record = chance.pick(records)
    if record == records.last { tally.note("flipped bits in last records of journals") }
    node.flip(at: chance.number(record.lowerBound...record.upperBound - 1), bit: chance.number(0...7))
    tally.note("flipped bits in journals")
    return true
  }

  /// Nothing is left.
  func wipe() {
    names = [:]
    durableNames = [:]
    directories = []
    index.wipe()
  }

  var totalBytes: Int { names.values.reduce(0) { $0 + $1.bytes.count } }

  fileprivate func change(_ action: String, _ path: String) throws(BookieError) {
    changes += 1
    if let diesAt, changes >= diesAt, !isDead {
      isDead = true
      tally.note("deaths while \(action.lowercased())")
    }
    if isDead { throw .io(action: action, path: path, errno: EIO) }
  }

  // MARK: StorageFiles

  func open(_ path: String, _ mode: StorageFileMode) throws(BookieError) -> any StorageFile {
    if let node = names[path] { return SimulatedFile(disk: self, path: path, node: node) }
    guard mode.writes else { throw .io(action: "Opening", path: path, errno: ENOENT) }
    try change("Creating", path)
    let node = SimulatedNode()
    names[path] = node
    return SimulatedFile(disk: self, path: path, node: node)
  }

  func createDirectory(_ path: String) throws(BookieError) { directories.insert(path) }

  func syncDirectory(_ path: String) throws(BookieError) {
    try change("Syncing", path)
    guard !lies.contains(.directorySync) else { return }
    for name in Set(names.keys).union(durableNames.keys) where Self.directory(of: name) == path {
      durableNames[name] = names[name]
    }
  }

  private static func directory(of path: String) -> String {
    path.lastIndex(of: "/").map { String(path[..<$0]) } ?? ""
  }

  func list(_ path: String) throws(BookieError) -> [String] {
    names.keys.filter { Self.directory(of: $0) == path }.map { String($0.dropFirst(path.count + 1)) }.sorted()
  }

  func exists(_ path: String) -> Bool { names[path] != nil || directories.contains(path) }

  func remove(_ path: String) throws(BookieError) {
    guard names[path] != nil else { return }
    try change("Removing", path)
    names[path] = nil
  }

  func rename(_ from: String, to: String) throws(BookieError) {
    try change("Renaming", from)
    guard let node = names.removeValue(forKey: from) else { throw .io(action: "Renaming", path: from, errno: ENOENT) }
    names[to] = node
  }

  func space(_ path: String) throws(BookieError) -> DiskSpace {
    capacity == .max
      ? DiskSpace(total: 1 << 40, free: 1 << 40)
      : DiskSpace(total: Int64(capacity), free: Int64(max(0, capacity - totalBytes)))
  }

  func openIndex(_ path: String) throws(BookieError) -> any KeyValueStore {
    SimulatedStore(disk: self)
  }

  fileprivate func noteRead(_ path: String) {
    if path.hasSuffix(".log") { lastLogRead = path }
  }

  /// The mistake of `compactionSource`.
  fileprivate func loseSource(for path: String) {
    guard lies.contains(.compactionSource), path.hasSuffix(".log"), let source = lastLogRead, source != path,
      isCompacting()
    else { return }
    names[source] = nil
    durableNames[source] = nil
  }
}

/// An open file of a ``SimulatedDisk``.
private final class SimulatedFile: StorageFile, @unchecked Sendable {
  let path: String
  private let disk: SimulatedDisk
  private let node: SimulatedNode

  init(disk: SimulatedDisk, path: String, node: SimulatedNode) {
    self.disk = disk
    self.path = path
    self.node = node
  }

  func size() throws(BookieError) -> Int { node.bytes.count }

  func read(into buffer: UnsafeMutableRawBufferPointer, at offset: Int) throws(BookieError) -> Int {
    if path.hasSuffix(".log"), disk.chance.permille(disk.failingReads) {
      disk.tally.note("failed reads")
      throw .io(action: "Reading", path: path, errno: EIO)
    }
    disk.noteRead(path)
    return node.read(into: buffer, at: offset)
  }

  func write(_ bytes: UnsafeRawBufferPointer, at offset: Int) throws(BookieError) {
    let wasDead = disk.isDead
    do throws(BookieError) {
      try disk.change("Writing", path)
    } catch {
      // The change at which the process dies is done by half.
      if !wasDead { node.write(UnsafeRawBufferPointer(rebasing: bytes[..<(bytes.count / 2)]), at: offset) }
      throw error
    }
    let growth = offset + bytes.count - node.bytes.count
    if growth > 0, disk.capacity < .max {
      let room = disk.capacity - disk.totalBytes
      if growth > room {
        disk.tally.note("writes to a full disk")
        let fits = max(0, min(bytes.count, node.bytes.count + max(0, room) - offset))
        node.write(UnsafeRawBufferPointer(rebasing: bytes[..<fits]), at: offset)
        throw .io(action: "Writing", path: path, errno: ENOSPC)
      }
    }
    if let other = disk.substitute?(path) {
      other.withUnsafeBytes { node.write($0, at: offset) }
    } else {
      node.write(bytes, at: offset)
    }
  }

  func truncate(to size: Int) throws(BookieError) {
    try disk.change("Truncating", path)
    node.truncate(to: size)
  }

  func sync() throws(BookieError) {
    try disk.change("Syncing", path)
    if disk.lies.contains(.journalSync), path.hasPrefix("/j") { return }
    if disk.lies.contains(.entryLogSync), path.hasSuffix(".log") { return }
    disk.loseSource(for: path)
    node.sync()
  }

  func syncAll() throws(BookieError) {
    try disk.change("Syncing", path)
    node.sync()
  }
}

/// The index of a ``SimulatedDisk``, opened.
private final class SimulatedStore: KeyValueStore, @unchecked Sendable {
  private let disk: SimulatedDisk

  init(disk: SimulatedDisk) { self.disk = disk }

  func get(_ key: [UInt8]) throws(BookieError) -> [UInt8]? { disk.index[key] }

  func scan(
    from start: [UInt8], to end: [UInt8]?, fillsCache: Bool,
    _ body: (UnsafeRawBufferPointer, UnsafeRawBufferPointer) throws(BookieError) -> Bool
  ) throws(BookieError) {
    try disk.index.scan(from: start, to: end, body)
  }

  func write(_ changes: KeyValueChanges) throws(BookieError) {
    do throws(BookieError) {
      try disk.change("Indexing", "index")
    } catch {
      throw error.isOutOfSpace ? .indexIsFull("\(error)") : .index("\(error)")
    }
    var kept = changes.list
    if disk.lies.contains(.ledgersAlone), !kept.contains(where: { Self.kind($0) == UInt8(ascii: "e") }) {
      kept.removeAll { Self.kind($0) == UInt8(ascii: "l") }
    }
    disk.index.apply(kept, isSynced: !disk.lies.contains(.indexSync))
  }

  private static func kind(_ change: KeyValueChanges.Change) -> UInt8? {
    switch change {
    case .put(let key, _), .delete(let key), .deleteRange(let key, _): key.first
    }
  }

  func close() {}
}

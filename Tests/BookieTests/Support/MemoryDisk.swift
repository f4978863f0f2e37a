import Foundation
import NIOConcurrencyHelpers

@testable import Bookie

/// A disk in memory, as unkind as disks are allowed to be: at a crash any part of what was not synced is lost, bytes by
/// sectors and names one by one. It can also fail from a certain operation on, and be full.
final class MemoryDisk: StorageFiles, @unchecked Sendable {
  static let sector = 512

  fileprivate final class Node {
    var durable: [UInt8] = []
    var current: [UInt8] = []
    var dirty: Set<Int> = []
  }

  private let lock = NIOLock()
  private var durableNames: [String: Node] = [:]
  private var names: [String: Node] = [:]
  private var directories: Set<String> = []
  private var index: [[UInt8]: [UInt8]] = [:]
  /// The keys of `index` in order; nil after a change.
  private var keys: [[UInt8]]?
  /// Changes so far: writes, syncs, names, index batches.
  private(set) var operations = 0
  /// The number of the first change that fails, and with it all that follow: the process dies there.
  var failsAt: Int?
  /// Most bytes in all files.
  var capacity = Int.max
  /// The error number of a change that fails, by what is done ("Writing", "Syncing" ...) and the file; that of the index is
  /// "index".
  var fault: ((_ action: String, _ path: String) -> Int32?)?

  /// The error number of a read that fails, by the file; that of a look through the index is "index".
  var readFault: ((_ path: String) -> Int32?)?

  // MARK: Faults

  /// What a crash leaves: of what was not synced, what `random` says.
  func crash(_ random: inout SeededRandom) {
    lock.withLock {
      // A file that was renamed is under the one name or the other.
      let before = durableNames
      var decided: [ObjectIdentifier: Bool] = [:]
      for name in Set(names.keys).union(before.keys).sorted() where names[name] !== before[name] {
        let node = names[name] ?? before[name]
        let isKept = node.flatMap { decided[ObjectIdentifier($0)] } ?? Bool.random(using: &random)
        if let node { decided[ObjectIdentifier(node)] = isKept }
        if isKept { durableNames[name] = names[name] }
      }
      names = durableNames
      for name in names.keys.sorted() {
        guard let node = names[name] else { continue }
        for sector in node.dirty.sorted() where Bool.random(using: &random) {
          let range = sector * Self.sector..<min((sector + 1) * Self.sector, node.current.count)
          guard !range.isEmpty else { continue }
          if node.durable.count < range.upperBound {
            node.durable += [UInt8](repeating: 0, count: range.upperBound - node.durable.count)
          }
          node.durable.replaceSubrange(range, with: node.current[range])
        }
        node.current = node.durable
        node.dirty = []
      }
      failsAt = nil
    }
  }

  /// Flips a bit of a synced byte.
  func flip(_ path: String, at offset: Int) {
    lock.withLock {
      names[path]?.current[offset] ^= 0x10
      names[path]?.durable[offset] ^= 0x10
    }
  }

  /// Puts other bytes into a file, durably.
  func replace(_ path: String, with bytes: [UInt8]) {
    lock.withLock {
      names[path]?.current = bytes
      names[path]?.durable = bytes
    }
  }

  /// The bytes of a file as they are now.
  func bytes(_ path: String) -> [UInt8] { lock.withLock { names[path]?.current ?? [] } }

  var totalBytes: Int { lock.withLock { names.values.reduce(0) { $0 + $1.current.count } } }

  private var sortedKeys: [[UInt8]] {
    if let keys { return keys }
    let sorted = index.keys.sorted { $0.lexicographicallyPrecedes($1) }
    keys = sorted
    return sorted
  }

  private func change(_ action: String, _ path: String) throws(BookieError) {
    operations += 1
    if let failsAt, operations >= failsAt { throw .io(action: action, path: path, errno: EIO) }
    if let number = fault?(action, path) { throw .io(action: action, path: path, errno: number) }
  }

  private func locked<R>(_ body: () throws(BookieError) -> R) throws(BookieError) -> R {
    lock.lock()
    defer { lock.unlock() }
    return try body()
  }

  // MARK: StorageFiles

  func open(_ path: String, _ mode: StorageFileMode) throws(BookieError) -> any StorageFile {
    try locked { () throws(BookieError) in
      if let node = names[path] { return File(disk: self, path: path, node: node) }
      guard mode.writes else { throw .io(action: "Opening", path: path, errno: ENOENT) }
      try change("Creating", path)
      let node = Node()
      names[path] = node
      return File(disk: self, path: path, node: node)
    }
  }

  func createDirectory(_ path: String) throws(BookieError) { lock.withLock { _ = directories.insert(path) } }

  func syncDirectory(_ path: String) throws(BookieError) {
    try locked { () throws(BookieError) in
      try change("Syncing", path)
      for name in Set(names.keys).union(durableNames.keys) where Self.directory(of: name) == path {
        durableNames[name] = names[name]
      }
    }
  }

  private static func directory(of path: String) -> String {
    path.lastIndex(of: "/").map { String(path[..<$0]) } ?? ""
  }

  func list(_ path: String) throws(BookieError) -> [String] {
    lock.withLock {
      names.keys.filter { Self.directory(of: $0) == path }.map { String($0.dropFirst(path.count + 1)) }.sorted()
    }
  }

  func exists(_ path: String) -> Bool { lock.withLock { names[path] != nil || directories.contains(path) } }

  func remove(_ path: String) throws(BookieError) {
    try locked { () throws(BookieError) in
      try change("Removing", path)
      names[path] = nil
    }
  }

  func rename(_ from: String, to: String) throws(BookieError) {
    try locked { () throws(BookieError) in
      try change("Renaming", from)
      guard let node = names.removeValue(forKey: from) else {
        throw .io(action: "Renaming", path: from, errno: ENOENT)
      }
      names[to] = node
    }
  }

  func space(_ path: String) throws(BookieError) -> DiskSpace {
    capacity == .max
      ? DiskSpace(total: 1 << 40, free: 1 << 40)
      : DiskSpace(total: Int64(capacity), free: Int64(max(0, capacity - totalBytes)))
  }

  func openIndex(_ path: String) throws(BookieError) -> any KeyValueStore { Index(disk: self) }

  // MARK: Files and index

  private final class File: StorageFile, @unchecked Sendable {
    let path: String
    private let disk: MemoryDisk
    private let node: Node

    init(disk: MemoryDisk, path: String, node: Node) {
      self.disk = disk
      self.path = path
      self.node = node
    }

    func size() throws(BookieError) -> Int { disk.lock.withLock { node.current.count } }

    func read(into buffer: UnsafeMutableRawBufferPointer, at offset: Int) throws(BookieError) -> Int {
      if let number = disk.lock.withLock({ disk.readFault?(path) }) {
        throw .io(action: "Reading", path: path, errno: number)
      }
      return disk.lock.withLock {
        guard offset < node.current.count else { return 0 }
        let count = min(buffer.count, node.current.count - offset)
        node.current.withUnsafeBytes {
          buffer.copyMemory(from: UnsafeRawBufferPointer(rebasing: $0[offset..<offset + count]))
        }
        return count
      }
    }

    func write(_ bytes: UnsafeRawBufferPointer, at offset: Int) throws(BookieError) {
      try disk.locked { () throws(BookieError) in
        var failure: BookieError?
        var count = bytes.count
        do throws(BookieError) {
          try disk.change("Writing", path)
        } catch {
          failure = error
          count /= 2
        }
        let growth = max(0, offset + count - node.current.count)
        let total =
          growth > 0 && disk.capacity < .max ? disk.names.values.reduce(0) { $0 + $1.current.count } : 0
        if growth > 0, disk.capacity < .max, total + growth > disk.capacity {
          failure = .io(action: "Writing", path: path, errno: ENOSPC)
          count = max(0, min(count, node.current.count + max(0, disk.capacity - total) - offset))
        }
        if node.current.count < offset + count {
          node.current += [UInt8](repeating: 0, count: offset + count - node.current.count)
        }
        if count > 0 {
          node.current.replaceSubrange(offset..<offset + count, with: bytes[0..<count])
          for sector in offset / MemoryDisk.sector...(offset + count - 1) / MemoryDisk.sector {
            node.dirty.insert(sector)
          }
        }
        if let failure { throw failure }
      }
    }

    func truncate(to size: Int) throws(BookieError) {
      try disk.locked { () throws(BookieError) in
        try disk.change("Truncating", path)
        if size < node.current.count { node.current.removeLast(node.current.count - size) }
        node.dirty = node.dirty.filter { $0 * MemoryDisk.sector < size }
      }
    }

    func sync() throws(BookieError) {
      try disk.locked { () throws(BookieError) in
        try disk.change("Syncing", path)
        node.durable = node.current
        node.dirty = []
      }
    }

    func syncAll() throws(BookieError) { try sync() }
  }

  private final class Index: KeyValueStore, @unchecked Sendable {
    private let disk: MemoryDisk

    init(disk: MemoryDisk) { self.disk = disk }

    func get(_ key: [UInt8]) throws(BookieError) -> [UInt8]? { disk.lock.withLock { disk.index[key] } }

    func scan(
      from start: [UInt8], to end: [UInt8]?, fillsCache: Bool,
      _ body: (UnsafeRawBufferPointer, UnsafeRawBufferPointer) throws(BookieError) -> Bool
    ) throws(BookieError) {
      if let number = disk.lock.withLock({ disk.readFault?("index") }) { throw .index("Reading fails: \(number)") }
      let keys = disk.lock.withLock { disk.sortedKeys }
      var low = 0
      var high = keys.count
      while low < high {
        let middle = (low + high) / 2
        if keys[middle].lexicographicallyPrecedes(start) { low = middle + 1 } else { high = middle }
      }
      for key in keys[low...] {
        if let end, !key.lexicographicallyPrecedes(end) { return }
        guard let value = disk.lock.withLock({ disk.index[key] }) else { continue }
        var failure: BookieError?
        let goesOn = key.withUnsafeBytes { key in
          value.withUnsafeBytes { value in
            do throws(BookieError) {
              return try body(key, value)
            } catch {
              failure = error
              return false
            }
          }
        }
        if let failure { throw failure }
        if !goesOn { return }
      }
    }

    func write(_ changes: KeyValueChanges) throws(BookieError) {
      try disk.locked { () throws(BookieError) in
        do throws(BookieError) {
          try disk.change("Writing", "index")
        } catch {
          throw error.isOutOfSpace ? .indexIsFull("\(error)") : .index("\(error)")
        }
        disk.keys = nil
        for change in changes.list {
          switch change {
          case .put(let key, let value): disk.index[key] = value
          case .delete(let key): disk.index[key] = nil
          case .deleteRange(let start, let end):
            disk.index = disk.index.filter {
              $0.key.lexicographicallyPrecedes(start) || !$0.key.lexicographicallyPrecedes(end)
            }
          }
        }
      }
    }

    func close() {}
  }
}

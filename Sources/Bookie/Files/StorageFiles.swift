import NIOCore

/// What a file is opened for.
package enum StorageFileMode: Sendable {
  /// Read only; the file must exist.
  case read
  /// As `read`, past the page cache where the file system can; offsets, sizes and addresses must be multiples of 4096.
  case readDirect
  /// Read and write; created if absent.
  case write
  /// As `write`, past the page cache where the file system can; offsets, sizes and addresses must be multiples of 4096.
  case direct

  /// Whether the file is created if it is absent, and may be written to.
  package var writes: Bool { self == .write || self == .direct }

  /// Whether the page cache is to be passed by.
  package var isDirect: Bool { self == .direct || self == .readDirect }
}

/// An open file, read and written at explicit offsets. Every method may block. Closed when the last reference goes.
package protocol StorageFile: AnyObject, Sendable {
  /// Where it is.
  var path: String { get }

  /// Bytes in the file.
  func size() throws(BookieError) -> Int

  /// Reads until `buffer` is full or the file ends; returns the number of bytes.
  func read(into buffer: UnsafeMutableRawBufferPointer, at offset: Int) throws(BookieError) -> Int

  /// Writes all bytes. They survive a crash only after `sync`, and until then any part of them may.
  func write(_ bytes: UnsafeRawBufferPointer, at offset: Int) throws(BookieError)

  /// Cuts the file off behind `size` bytes.
  func truncate(to size: Int) throws(BookieError)

  /// Returns when everything written is on the device. After a failure nothing is known about what was not synced before.
  func sync() throws(BookieError)

  /// As `sync`, with the file's size and allocation.
  func syncAll() throws(BookieError)
}

/// How large a file system is, and how much of it is free to this process.
package struct DiskSpace: Sendable, Equatable {
  /// Bytes in all.
  package var total: Int64
  /// Bytes that can still be written.
  package var free: Int64

  /// The given sizes.
  package init(total: Int64, free: Int64) {
    self.total = total
    self.free = free
  }

  /// The share that is in use, 0 to 1.
  package var usage: Double { total <= 0 ? 0 : Double(total - free) / Double(total) }
}

/// Everything that the storage does to disks. The real one is ``PosixFiles``; a simulator puts its own in its place and
/// decides what survives a crash: of the bytes that were not synced any part, of names (created, renamed, removed) that were
/// not followed by `syncDirectory` any part, of synced bytes and names all.
package protocol StorageFiles: Sendable {
  /// Opens a file.
  func open(_ path: String, _ mode: StorageFileMode) throws(BookieError) -> any StorageFile

  /// Creates a directory, durably, with what is missing above it.
  func createDirectory(_ path: String) throws(BookieError)

  /// Makes created, renamed and removed names in the directory durable.
  func syncDirectory(_ path: String) throws(BookieError)

  /// Names of the files in a directory, sorted.
  func list(_ path: String) throws(BookieError) -> [String]

  /// Whether there is a file or directory of this name.
  func exists(_ path: String) -> Bool

  /// Removes a file; an absent one is no error.
  func remove(_ path: String) throws(BookieError)

  /// Gives a file another name, atomically replacing what had it.
  func rename(_ from: String, to: String) throws(BookieError)

  /// The space of the file system that holds `path`.
  func space(_ path: String) throws(BookieError) -> DiskSpace

  /// Opens the ordered store in which the index is; an absent one is made.
  func openIndex(_ path: String) throws(BookieError) -> any KeyValueStore

  /// Whether there is such a store.
  func hasIndex(_ path: String) -> Bool
}

extension StorageFiles {
  /// A disk on which the store cannot be lost.
  package func hasIndex(_ path: String) -> Bool { true }

  /// All bytes of a small file; nil if it does not exist.
  func read(_ path: String) throws(BookieError) -> [UInt8]? {
    guard exists(path) else { return nil }
    let file = try open(path, .read)
    var bytes = [UInt8](repeating: 0, count: try file.size())
    var failure: BookieError?
    let count = bytes.withUnsafeMutableBytes { buffer in
      do throws(BookieError) {
        return try file.read(into: buffer, at: 0)
      } catch {
        failure = error
        return 0
      }
    }
    if let failure { throw failure }
    return Array(bytes.prefix(count))
  }

  /// Replaces `directory`/`name` with `bytes`: at any crash the file is the old one or the new one.
  func replace(_ directory: String, _ name: String, with bytes: [UInt8]) throws(BookieError) {
    let temporary = directory + "/" + name + ".tmp"
    try remove(temporary)
    let file = try open(temporary, .write)
    var failure: BookieError?
    bytes.withUnsafeBytes { buffer in
      do throws(BookieError) {
        try file.write(buffer, at: 0)
      } catch {
        failure = error
      }
    }
    if let failure { throw failure }
    try file.syncAll()
    try rename(temporary, to: directory + "/" + name)
    try syncDirectory(directory)
  }
}

import Foundation

/// Files on the disk under measurement, read and forgotten as `dd` would.
enum DiskFiles {
  private static let direct: Int32 = 0o40000

  /// The files below a directory whose names end so, in order.
  static func files(_ directory: String, suffix: String) -> [String] {
    ((try? FileManager.default.contentsOfDirectory(atPath: directory)) ?? []).filter { $0.hasSuffix(suffix) }.sorted()
      .map { directory + "/" + $0 }
  }

  /// Takes the files out of the page cache.
  static func dropCache(_ paths: [String]) {
    for path in paths {
      let descriptor = open(path, O_RDONLY | O_CLOEXEC)
      guard descriptor >= 0 else { continue }
      fdatasync(descriptor)
      posix_fadvise(descriptor, 0, 0, POSIX_FADV_DONTNEED)
      close(descriptor)
    }
  }

  /// Reads the files from their beginnings to their ends in blocks of 1 MiB, out of a cold cache.
  /// - Parameter isDirect: past the page cache.
  /// - Returns: megabytes a second.
  static func sequentialRead(_ paths: [String], isDirect: Bool) throws -> Double {
    dropCache(paths)
    let block = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 20, alignment: 4096)
    defer { block.deallocate() }
    var bytes = 0
    let start = ContinuousClock.now
    for path in paths {
      let descriptor = open(path, O_RDONLY | O_CLOEXEC | (isDirect ? direct : 0))
      guard descriptor >= 0 else { throw CommandFailure("\(path): \(String(cString: strerror(errno)))") }
      defer { close(descriptor) }
      while true {
        let count = read(descriptor, block.baseAddress, block.count)
        guard count >= 0 else { throw CommandFailure("\(path): \(String(cString: strerror(errno)))") }
        if count == 0 { break }
        bytes += count
      }
    }
    let seconds = (ContinuousClock.now - start).inSeconds
    dropCache(paths)
    return seconds > 0 ? Double(bytes) / 1e6 / seconds : 0
  }

  /// The faster one of reading through the page cache and past it.
  static func bestSequentialRead(_ paths: [String]) throws -> Double {
    max(try sequentialRead(paths, isDirect: true), try sequentialRead(paths, isDirect: false))
  }
}

/// Synced writes in the way in which the disk does them fastest: past the page cache, into space that was written before.
final class RawSyncedWrites {
  private let path: String
  private let size: Int
  private let descriptor: Int32
  private let block: UnsafeMutableRawBufferPointer
  private var offset = 0
  private static let fileBytes = 64 << 20

  init(directory: String, size: Int) throws {
    path = "\(directory)/.meridian-synced-writes-\(getpid())"
    self.size = max(4096, (size + 4095) / 4096 * 4096)
    block = .allocate(byteCount: self.size, alignment: 4096)
    block.initializeMemory(as: UInt8.self, repeating: 0)
    let file = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC | 0o40000, 0o600)
    descriptor = file >= 0 ? file : open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0o600)
    guard descriptor >= 0 else {
      throw CommandFailure("\(directory) cannot be written to: \(String(cString: strerror(errno)))")
    }
    for at in stride(from: 0, to: max(Self.fileBytes, self.size), by: self.size) {
      guard pwrite(descriptor, block.baseAddress, self.size, off_t(at)) == self.size else {
        throw CommandFailure("writing to \(directory) failed: \(String(cString: strerror(errno)))")
      }
    }
    fsync(descriptor)
  }

  deinit {
    close(descriptor)
    unlink(path)
    block.deallocate()
  }

  /// One write and fdatasync. Returns the seconds that it took.
  func once() throws -> Double {
    if offset + size > max(Self.fileBytes, size) { offset = 0 }
    let start = ContinuousClock.now
    guard pwrite(descriptor, block.baseAddress, size, off_t(offset)) == size, fdatasync(descriptor) == 0 else {
      throw CommandFailure("\(path): \(String(cString: strerror(errno)))")
    }
    offset += size
    return (ContinuousClock.now - start).inSeconds
  }

  /// Megabytes a second over so much time.
  func megabytesPerSecond(for time: Duration) throws -> Double {
    var seconds = 0.0
    var rounds = 0
    while seconds < time.inSeconds {
      seconds += try once()
      rounds += 1
    }
    return Double(rounds * size) / 1e6 / seconds
  }
}

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// The system's text for an error number.
func systemErrorDescription(_ number: Int32) -> String {
  String(cString: strerror(number))
}

/// An open file, read and written at explicit offsets. Every method blocks. Closed when the last reference goes.
final class PosixFile: StorageFile {
  #if arch(arm64) || arch(arm)
    private static let directFlag: Int32 = 0o200000
  #else
    private static let directFlag: Int32 = 0o40000
  #endif

  /// What direct I/O reads and writes.
  private static let directUnit = 512

  let path: String
  /// Whether the page cache is bypassed.
  let isDirect: Bool
  private let descriptor: Int32

  init(path: String, mode: StorageFileMode) throws(BookieError) {
    self.path = path
    var flags = O_CLOEXEC | (mode.writes ? O_RDWR | O_CREAT : O_RDONLY)
    var direct = false
    #if os(Linux)
      if mode.isDirect {
        flags |= Self.directFlag
        direct = true
      }
    #endif
    var opened = systemOpen(path, flags)
    #if os(Linux)
      if opened < 0, direct, errno == EINVAL {
        direct = false
        opened = systemOpen(path, flags & ~Self.directFlag)
      }
    #endif
    guard opened >= 0 else { throw .io(action: "Opening", path: path, errno: errno) }
    descriptor = opened
    isDirect = direct
  }

  deinit { close(descriptor) }

  func size() throws(BookieError) -> Int {
    var status = stat()
    guard fstat(descriptor, &status) == 0 else { throw .io(action: "Examining", path: path, errno: errno) }
    return Int(status.st_size)
  }

  /// Reads until `buffer` is full or the file ends; returns the number of bytes.
  func read(into buffer: UnsafeMutableRawBufferPointer, at offset: Int) throws(BookieError) -> Int {
    var done = 0
    while done < buffer.count {
      let count = pread(descriptor, buffer.baseAddress.map { $0 + done }, buffer.count - done, off_t(offset + done))
      if count < 0 && errno == EINTR { continue }
      guard count >= 0 else { throw .io(action: "Reading", path: path, errno: errno) }
      done += count
      // Past the page cache an odd number of bytes is the end of the file, and there is no reading on from there.
      if count == 0 || (isDirect && count % Self.directUnit != 0) { break }
    }
    return done
  }

  /// Writes all bytes.
  func write(_ bytes: UnsafeRawBufferPointer, at offset: Int) throws(BookieError) {
    var done = 0
    while done < bytes.count {
      let count = pwrite(descriptor, bytes.baseAddress.map { $0 + done }, bytes.count - done, off_t(offset + done))
      if count < 0 && errno == EINTR { continue }
      guard count > 0 else { throw .io(action: "Writing", path: path, errno: count == 0 ? ENOSPC : errno) }
      done += count
    }
  }

  /// Cuts the file off behind `size` bytes.
  func truncate(to size: Int) throws(BookieError) {
    guard ftruncate(descriptor, off_t(size)) == 0 else { throw .io(action: "Truncating", path: path, errno: errno) }
  }

  /// Returns when everything written is on the device.
  func sync() throws(BookieError) {
    #if canImport(Darwin)
      let result = fcntl(descriptor, F_FULLFSYNC)
    #else
      let result = fdatasync(descriptor)
    #endif
    guard result == 0 else { throw .io(action: "Syncing", path: path, errno: errno) }
  }

  /// Syncs contents and size.
  func syncAll() throws(BookieError) {
    guard fsync(descriptor) == 0 else { throw .io(action: "Syncing", path: path, errno: errno) }
  }
}

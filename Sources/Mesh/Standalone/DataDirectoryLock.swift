#if canImport(Glibc)
  import Glibc
#else
  import Darwin
#endif

/// Keeps a second process off a data directory. The kernel drops the lock when the process ends, however it ends.
final class DataDirectoryLock: Sendable {
  private let descriptor: Int32

  /// - Throws: ``MeshError`` if another process has the directory.
  init(directory: String) throws {
    let path = directory + "/lock"
    let descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o644)
    guard descriptor >= 0 else {
      throw MeshError("cannot open \(path): \(String(cString: strerror(errno)))")
    }
    guard flock(descriptor, LOCK_EX | LOCK_NB) == 0 else {
      close(descriptor)
      throw MeshError("another process uses the data directory \(directory); stop it, or give another --data")
    }
    self.descriptor = descriptor
  }

  deinit {
    close(descriptor)
  }
}

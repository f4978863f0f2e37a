import Foundation

/// How fast a directory's disk takes synchronous writes: the limit of any journal on it.
struct DiskProbe {
  let directory: String

  /// Writes `bytes` and calls fdatasync, again and again for a time; the file is sized beforehand, as a journal's is,
  /// and removed afterwards. Runs on a thread of its own.
  ///
  /// - Returns: rounds a second.
  func rounds(bytes: Int, for time: Duration) async throws -> Double {
    try await withCheckedThrowingContinuation { continuation in
      Thread.detachNewThread {
        continuation.resume(with: Result { try self.measure(bytes: bytes, for: time) })
      }
    }
  }

  private func measure(bytes: Int, for time: Duration) throws -> Double {
    let path = "\(directory)/.meridian-disk-probe-\(getpid())"
    let descriptor = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0o600)
    guard descriptor >= 0 else {
      throw CommandFailure("\(directory) cannot be written to: \(String(cString: strerror(errno)))")
    }
    defer {
      close(descriptor)
      unlink(path)
    }
    let fileBytes = 256 << 20
    let length = max(1, min(bytes, fileBytes))
    _ = posix_fallocate(descriptor, 0, off_t(fileBytes))
    _ = fdatasync(descriptor)
    let data = [UInt8](unsafeUninitializedCapacity: length) { buffer, count in
      for index in 0..<length { buffer[index] = UInt8(truncatingIfNeeded: index &* 31 &+ index >> 8) }
      count = length
    }
    var offset = 0
    var rounds = 0
    let start = ContinuousClock.now
    while ContinuousClock.now - start < time {
      if offset + length > fileBytes { offset = 0 }
      guard pwrite(descriptor, data, length, off_t(offset)) == length, fdatasync(descriptor) == 0 else {
        throw CommandFailure("writing to \(directory) failed: \(String(cString: strerror(errno)))")
      }
      offset += length
      rounds += 1
    }
    return Double(rounds) / (ContinuousClock.now - start).inSeconds
  }
}

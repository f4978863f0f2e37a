#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#else
  import Darwin
#endif

/// Small files that are read whole, and written so that a reader sees the old or the new content and nothing between.
enum PrivateFile {
  /// Bytes of a file, at most.
  private static let limit = 1 << 20

  static func read(_ path: String) throws(TLSError) -> String {
    let descriptor = open(path, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else { throw failure("read", path) }
    defer { _ = close(descriptor) }
    var content: [UInt8] = []
    var chunk = [UInt8](repeating: 0, count: 64 << 10)
    while true {
      let count = chunk.withUnsafeMutableBytes { systemRead(descriptor, $0) }
      guard count >= 0 else { throw failure("read", path) }
      if count == 0 { return String(decoding: content, as: UTF8.self) }
      content += chunk[..<count]
      guard content.count <= limit else { throw .configuration("\(path) is longer than \(limit) bytes.") }
    }
  }

  /// - Parameter mode: the permissions, from the first moment on.
  static func write(_ text: String, to path: String, mode: mode_t) throws(TLSError) {
    let temporary = "\(path).\(getpid()).tmp"
    let descriptor = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode)
    guard descriptor >= 0 else { throw failure("write", path) }
    var remaining = Array(text.utf8)[...]
    var isComplete = fchmod(descriptor, mode) == 0
    while isComplete, !remaining.isEmpty {
      let count = remaining.withUnsafeBytes { systemWrite(descriptor, $0) }
      isComplete = count > 0
      remaining = remaining.dropFirst(max(0, count))
    }
    isComplete = isComplete && fsync(descriptor) == 0
    isComplete = close(descriptor) == 0 && isComplete && rename(temporary, path) == 0
    guard isComplete else {
      let error = failure("write", path)
      unlink(temporary)
      throw error
    }
  }

  static func exists(_ path: String) -> Bool { access(path, F_OK) == 0 }

  private static func systemRead(_ descriptor: Int32, _ room: UnsafeMutableRawBufferPointer) -> Int {
    while true {
      #if canImport(Glibc)
        let count = Glibc.read(descriptor, room.baseAddress, room.count)
      #elseif canImport(Musl)
        let count = Musl.read(descriptor, room.baseAddress, room.count)
      #else
        let count = Darwin.read(descriptor, room.baseAddress, room.count)
      #endif
      if count >= 0 || errno != EINTR { return count }
    }
  }

  private static func systemWrite(_ descriptor: Int32, _ bytes: UnsafeRawBufferPointer) -> Int {
    while true {
      #if canImport(Glibc)
        let count = Glibc.write(descriptor, bytes.baseAddress, bytes.count)
      #elseif canImport(Musl)
        let count = Musl.write(descriptor, bytes.baseAddress, bytes.count)
      #else
        let count = Darwin.write(descriptor, bytes.baseAddress, bytes.count)
      #endif
      if count >= 0 || errno != EINTR { return count }
    }
  }

  private static func failure(_ action: String, _ path: String) -> TLSError {
    .configuration("cannot \(action) \(path): \(String(cString: strerror(errno))).")
  }
}

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// Directory operations that survive a crash: names are synced, files are replaced atomically.
enum Directory {
  /// Creates `path` and what is missing above it.
  static func create(_ path: String) throws(BookieError) {
    var missing: [String] = []
    var at = path
    while !at.isEmpty, at != "/", access(at, F_OK) != 0 {
      missing.append(at)
      guard let slash = at.lastIndex(of: "/") else { break }
      at = String(at[..<slash])
    }
    for directory in missing.reversed() {
      guard mkdir(directory, 0o755) == 0 || errno == EEXIST else {
        throw .io(action: "Creating", path: directory, errno: errno)
      }
      if let slash = directory.lastIndex(of: "/"), slash != directory.startIndex {
        try sync(String(directory[..<slash]))
      }
    }
  }

  /// Makes created, renamed and removed names in `path` durable.
  static func sync(_ path: String) throws(BookieError) {
    let descriptor = open(path, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else { throw .io(action: "Opening", path: path, errno: errno) }
    defer { close(descriptor) }
    guard fsync(descriptor) == 0 else { throw .io(action: "Syncing", path: path, errno: errno) }
  }

  /// Names of the files in `path`, sorted.
  static func files(_ path: String) throws(BookieError) -> [String] {
    guard let directory = opendir(path) else { throw .io(action: "Listing", path: path, errno: errno) }
    defer { closedir(directory) }
    var names: [String] = []
    while let item = readdir(directory) {
      let name = withUnsafeBytes(of: item.pointee.d_name) { bytes in
        String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
      }
      if name != "." && name != ".." { names.append(name) }
    }
    return names.sorted()
  }

  static func exists(_ path: String) -> Bool { access(path, F_OK) == 0 }

  static func remove(_ path: String) throws(BookieError) {
    guard unlink(path) == 0 || errno == ENOENT else { throw .io(action: "Removing", path: path, errno: errno) }
  }

  static func rename(_ from: String, to: String) throws(BookieError) {
    guard rename_(from, to) == 0 else { throw .io(action: "Renaming", path: from, errno: errno) }
  }

  private static func rename_(_ from: String, _ to: String) -> Int32 {
    #if canImport(Glibc)
      Glibc.rename(from, to)
    #elseif canImport(Musl)
      Musl.rename(from, to)
    #else
      Darwin.rename(from, to)
    #endif
  }

  /// All bytes of a small file; nil if it does not exist.
  static func read(_ path: String) throws(BookieError) -> [UInt8]? {
    guard exists(path) else { return nil }
    let file = try PosixFile(path: path, mode: .read)
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
  static func replace(_ directory: String, _ name: String, with bytes: [UInt8]) throws(BookieError) {
    let temporary = directory + "/" + name + ".tmp"
    try remove(temporary)
    let file = try PosixFile(path: temporary, mode: .write)
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
    try sync(directory)
  }
}

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// The file systems of this machine.
package struct PosixFiles: StorageFiles {
  package init() {}

  package func open(_ path: String, _ mode: StorageFileMode) throws(BookieError) -> any StorageFile {
    try PosixFile(path: path, mode: mode)
  }

  package func createDirectory(_ path: String) throws(BookieError) {
    var missing: [String] = []
    var at = path
    while !at.isEmpty, at != "/", !exists(at) {
      missing.append(at)
      guard let slash = at.lastIndex(of: "/") else { break }
      at = String(at[..<slash])
    }
    for directory in missing.reversed() {
      guard mkdir(directory, 0o755) == 0 || errno == EEXIST else {
        throw .io(action: "Creating", path: directory, errno: errno)
      }
      if let slash = directory.lastIndex(of: "/"), slash != directory.startIndex {
        try syncDirectory(String(directory[..<slash]))
      }
    }
  }

  package func syncDirectory(_ path: String) throws(BookieError) {
    let descriptor = systemOpen(path, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else { throw .io(action: "Opening", path: path, errno: errno) }
    defer { close(descriptor) }
    guard fsync(descriptor) == 0 else { throw .io(action: "Syncing", path: path, errno: errno) }
  }

  package func list(_ path: String) throws(BookieError) -> [String] {
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

  package func exists(_ path: String) -> Bool { access(path, F_OK) == 0 }

  package func remove(_ path: String) throws(BookieError) {
    guard unlink(path) == 0 || errno == ENOENT else { throw .io(action: "Removing", path: path, errno: errno) }
  }

  package func rename(_ from: String, to: String) throws(BookieError) {
    guard systemRename(from, to) == 0 else { throw .io(action: "Renaming", path: from, errno: errno) }
  }

  package func space(_ path: String) throws(BookieError) -> DiskSpace {
    var status = statvfs()
    guard statvfs(path, &status) == 0 else { throw .io(action: "Examining", path: path, errno: errno) }
    let block = Int64(status.f_frsize)
    let free = Int64(clamping: status.f_bavail) * block
    // What is kept for the superuser is neither used nor free to us.
    let used = Int64(clamping: status.f_blocks - status.f_bfree) * block
    return DiskSpace(total: used + free, free: free)
  }

  package func openIndex(_ path: String) throws(BookieError) -> any KeyValueStore {
    try RocksIndex(path: path)
  }

  package func hasIndex(_ path: String) -> Bool { exists(path + "/CURRENT") }
}

/// `open` of the system, where a method has the same name.
func systemOpen(_ path: String, _ flags: Int32, _ mode: mode_t = 0o644) -> Int32 {
  open(path, flags, mode)
}

private func systemRename(_ from: String, _ to: String) -> Int32 {
  rename(from, to)
}

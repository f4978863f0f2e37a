import Foundation

/// A file system of its own for one bookie, which can be filled up. Needs the right to mount.
final class SmallDisk: Sendable {
  let path: String

  private init(path: String) {
    self.path = path
  }

  /// Mounts one of the given size; nil where that is not allowed.
  static func mount(at path: String, megabytes: Int) -> SmallDisk? {
    try? FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    guard run("/bin/mount", ["-t", "tmpfs", "-o", "size=\(megabytes)m", "tmpfs", path]) else { return nil }
    return SmallDisk(path: path)
  }

  /// Fills what is left of it.
  func fill() {
    guard let handle = make(path + "/ballast") else { return }
    defer { try? handle.close() }
    let block = Data(repeating: 1, count: 64 << 10)
    while (try? handle.write(contentsOf: block)) != nil {}
  }

  /// Gives back what `fill` took.
  func free() { try? FileManager.default.removeItem(atPath: path + "/ballast") }

  func unmount() { _ = Self.run("/bin/umount", ["-l", path]) }

  private func make(_ file: String) -> FileHandle? {
    _ = FileManager.default.createFile(atPath: file, contents: nil)
    return FileHandle(forWritingAtPath: file)
  }

  private static func run(_ program: String, _ arguments: [String]) -> Bool {
    let process = Process()
    process.executableURL = URL(fileURLWithPath: program)
    process.arguments = arguments
    process.standardError = FileHandle.nullDevice
    process.standardOutput = FileHandle.nullDevice
    guard (try? process.run()) != nil else { return false }
    process.waitUntilExit()
    return process.terminationStatus == 0
  }
}

import Foundation

/// A small file system in memory of its own, which can be filled up. Needs the right to mount.
public final class SmallDisk: Sendable {
  /// Where it is mounted.
  public let path: String

  private init(path: String) {
    self.path = path
  }

  /// Mounts one of the given size; nil where that is not allowed.
  public static func mount(at path: String, megabytes: Int) -> SmallDisk? {
    try? FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    guard run("/bin/mount", ["-t", "tmpfs", "-o", "size=\(megabytes)m", "tmpfs", path]) else { return nil }
    return SmallDisk(path: path)
  }

  /// Fills what is left of it.
  public func fill() {
    let file = path + "/ballast"
    if !FileManager.default.fileExists(atPath: file) { _ = FileManager.default.createFile(atPath: file, contents: nil) }
    guard let handle = FileHandle(forWritingAtPath: file), (try? handle.seekToEnd()) != nil else { return }
    defer { try? handle.close() }
    let block = Data(repeating: 1, count: 64 << 10)
    while (try? handle.write(contentsOf: block)) != nil {}
  }

  /// Gives back what `fill` took.
  public func free() { try? FileManager.default.removeItem(atPath: path + "/ballast") }

  /// Takes it away; what it held is gone.
  public func unmount() { _ = Self.run("/bin/umount", ["-l", path]) }

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

import Foundation

/// A fresh directory below the system's temporary one. Remove it yourself, or use `with`, which does.
public struct TemporaryDirectory: Sendable {
  /// The absolute path, without a trailing slash.
  public let path: String

  /// Creates the directory.
  public init() throws {
    var template = Array((NSTemporaryDirectory() + "/meridian-test-XXXXXX").utf8CString)
    guard mkdtemp(&template) != nil else {
      throw TestSupportError("Cannot create a temporary directory: errno \(errno).")
    }
    path = URL(fileURLWithPath: String(decoding: template.dropLast().map(UInt8.init(bitPattern:)), as: UTF8.self)).path
  }

  /// Deletes the directory with everything in it.
  public func remove() {
    try? FileManager.default.removeItem(atPath: path)
  }

  /// The path of `name` inside the directory.
  public func file(_ name: String) -> String { path + "/" + name }

  /// Runs `body` with a fresh directory and removes it afterwards.
  public static func with<R>(_ body: (TemporaryDirectory) throws -> R) throws -> R {
    let directory = try TemporaryDirectory()
    defer { directory.remove() }
    return try body(directory)
  }

  /// Runs `body` with a fresh directory and removes it afterwards.
  public static func with<R>(_ body: (TemporaryDirectory) async throws -> R) async throws -> R {
    let directory = try TemporaryDirectory()
    defer { directory.remove() }
    return try await body(directory)
  }
}

/// What a helper of the tests could not do.
public struct TestSupportError: Error, CustomStringConvertible, Sendable {
  /// One sentence.
  public var description: String

  /// An error with the given sentence.
  public init(_ description: String) {
    self.description = description
  }
}

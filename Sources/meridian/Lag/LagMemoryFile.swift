import Foundation
import Mesh

/// Keeps the last figures of each region between runs, so that one that is silent can be shown with their age.
struct LagMemoryFile {
  private let path: String

  /// - Parameters:
  ///   - data: directory of the local mesh.
  ///   - explicit: the regions are given by address, so the figures belong to the user, not to a mesh directory.
  init(data: String, explicit: Bool) {
    if !explicit, FileManager.default.fileExists(atPath: data) {
      path = data + "/lag.json"
    } else {
      let environment = ProcessInfo.processInfo.environment
      let cache = environment["XDG_CACHE_HOME"] ?? (environment["HOME"].map { $0 + "/.cache" } ?? "/tmp")
      path = cache + "/meridian/lag.json"
    }
  }

  func load() -> LagCollector.Memory {
    guard let bytes = FileManager.default.contents(atPath: path) else { return .init() }
    return (try? JSONDecoder().decode(LagCollector.Memory.self, from: bytes)) ?? .init()
  }

  /// Best effort: figures that cannot be kept only cost the age of a later run.
  func save(_ memory: LagCollector.Memory) {
    guard let bytes = try? JSONEncoder().encode(memory) else { return }
    let directory = (path as NSString).deletingLastPathComponent
    try? FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
    try? bytes.write(to: URL(fileURLWithPath: path), options: .atomic)
  }
}

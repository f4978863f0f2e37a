import Foundation

/// Reads and writes the state of a local mesh.
struct MeshStateFile {
  let directory: MeshDirectory

  func load() throws -> MeshState {
    guard let bytes = FileManager.default.contents(atPath: directory.stateFile) else {
      throw MeshError("there is no mesh in \(directory.path); start one with `meridian mesh up TOPOLOGY`")
    }
    guard let state = try? JSONDecoder().decode(MeshState.self, from: bytes) else {
      throw MeshError("\(directory.stateFile) is damaged; move it away and run `meridian mesh up` again")
    }
    return state
  }

  func save(_ state: MeshState) throws {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
    try encoder.encode(state).write(to: URL(fileURLWithPath: directory.stateFile), options: .atomic)
  }

  var exists: Bool { FileManager.default.fileExists(atPath: directory.stateFile) }
}

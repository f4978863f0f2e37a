import Foundation
import NIOCore

/// Brings a local mesh up from a command: starts the supervisor if none runs, and has it start what is missing.
public struct MeshLauncher: Sendable {
  private let directory: MeshDirectory
  private let group: any EventLoopGroup

  /// A launcher for the mesh in `directory`.
  public init(directory: MeshDirectory, group: any EventLoopGroup) {
    self.directory = directory
    self.group = group
  }

  /// Brings the mesh of a topology file up; returns when every region serves and every link is connected.
  ///
  /// - Throws: ``TopologyError`` or ``MeshError``; then nothing runs that did not run before.
  public func up(topologyFile: String, progress: @escaping @Sendable (String) -> Void) async throws -> MeshStatus {
    guard let bytes = FileManager.default.contents(atPath: topologyFile) else {
      throw MeshError("cannot read the topology file \(topologyFile)")
    }
    let text = String(decoding: bytes, as: UTF8.self)
    _ = try TopologyFile.parse(text, file: topologyFile)
    let file = MeshStateFile(directory: directory)
    let client = ControlClient(directory: directory, group: group)
    let wasRunning = await client.isReachable()
    var state = MeshState(topologyText: text, topologyFile: topologyFile)
    if file.exists {
      let old = try file.load()
      if old.topologyText == text {
        state = old
      } else if wasRunning || old.processes.values.contains(where: ChildProcess.isRunning) {
        throw MeshError("a mesh of another topology runs in \(directory.path); stop it first with `meridian mesh down`")
      }
    }
    let isNew = !FileManager.default.fileExists(atPath: directory.path)
    var supervisor: pid_t?
    if !wasRunning {
      do {
        try FileManager.default.createDirectory(atPath: directory.path, withIntermediateDirectories: true)
      } catch {
        throw MeshError("cannot create the directory \(directory.path): \(error.localizedDescription)")
      }
      try file.save(state)
      let pid = try ChildProcess.start(
        ChildProcess.ownExecutable(), ["mesh", "supervise", "--data", directory.path], log: directory.supervisorLog)
      supervisor = pid
      let deadline = ContinuousClock.now + .seconds(20)
      while await !client.isReachable() {
        guard ChildProcess.isRunning(pid), ContinuousClock.now < deadline else {
          throw MeshError("the mesh's supervisor does not start; its log is \(directory.supervisorLog)")
        }
        try await Task.sleep(for: .milliseconds(20))
      }
    }
    do {
      guard case .status(let status) = try await client.call(.up, progress: progress) else {
        throw MeshError("the mesh's supervisor answered something else; use the same version of meridian on both ends")
      }
      return status
    } catch {
      if !wasRunning { _ = try? await client.call(.down) }
      if isNew, let supervisor { await removeUnused(supervisor) }
      throw error
    }
  }

  /// A mesh that was refused before any region was started leaves nothing behind; after that, logs and data stay.
  private func removeUnused(_ supervisor: pid_t) async {
    guard !FileManager.default.fileExists(atPath: directory.certificates) else { return }
    let deadline = ContinuousClock.now + .seconds(5)
    while ChildProcess.isRunning(supervisor), ContinuousClock.now < deadline {
      try? await Task.sleep(for: .milliseconds(20))
    }
    try? FileManager.default.removeItem(atPath: directory.path)
  }
}

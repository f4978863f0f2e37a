import ArgumentParser
import Foundation
import Logging
import Mesh
import NIOPosix

/// `meridian mesh supervise`: the process behind a local mesh; `mesh up` starts it.
struct MeshSuperviseCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "supervise", abstract: "Supervise a local mesh (started by `mesh up`).", shouldDisplay: false)

  @OptionGroup var mesh: MeshOptions

  func run() async throws {
    let interrupt = Interrupt.install()
    let supervisor = try MeshSupervisor(
      directory: mesh.directory, group: MultiThreadedEventLoopGroup.singleton, logger: Logger(label: "mesh"))
    let running = Task { try await supervisor.run() }
    let stopping = Task {
      await interrupt.wait()
      await supervisor.stopRegions()
      running.cancel()
    }
    defer { stopping.cancel() }
    try await running.value
  }
}

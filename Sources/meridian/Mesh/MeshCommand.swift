import ArgumentParser
import Foundation
import Mesh
import NIOPosix

/// `meridian mesh`: several regions on this machine, with an emulated WAN between them.
struct MeshCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "mesh", abstract: "Run a whole mesh on this machine.",
    discussion: """
      Example:

        meridian mesh up topologies/two-region.yaml --detach
        meridian mesh wan us eu --rtt 150ms
        meridian mesh down
      """,
    subcommands: [MeshUpCommand.self, Status.self, Down.self, MeshWANCommand.self, MeshSuperviseCommand.self])

  struct Status: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Show the regions and links of the mesh.", discussion: "Example: meridian mesh status --json")
    @OptionGroup var mesh: MeshOptions
    @Flag(help: "Print JSON.") var json = false

    func run() async throws {
      let answer = try await mesh.client.call(.status)
      guard case .status(let status) = answer else { return }
      if json { try JSONOutput.print(status) } else { MeshStatusOutput.print(status) }
    }
  }

  struct Down: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Stop every region; the data stay.", discussion: "Example: meridian mesh down")
    @OptionGroup var mesh: MeshOptions

    func run() async throws {
      try await mesh.client.call(.down)
    }
  }
}

/// Which mesh a command is about.
struct MeshOptions: ParsableArguments {
  @Option(help: ArgumentHelp("Directory of the mesh's data.", valueName: "dir")) var data = ".meridian"

  var directory: MeshDirectory {
    MeshDirectory(path: URL(fileURLWithPath: data).standardizedFileURL.path)
  }

  var client: ControlClient {
    ControlClient(directory: directory, group: MultiThreadedEventLoopGroup.singleton)
  }
}

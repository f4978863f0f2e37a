import ArgumentParser
import Foundation
import Mesh
import NIOPosix

/// `meridian mesh up`: starts the regions of a topology file.
struct MeshUpCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "up", abstract: "Start the regions of a topology file, and wait until they serve and are linked.",
    discussion: """
      Run again, it starts only what is not running, on the data that is there. Without --detach it stays, and Ctrl-C
      stops every region.

      Example: meridian mesh up topologies/two-region.yaml --detach
      """)

  @Argument(help: "Topology file (YAML).") var topology: String
  @OptionGroup var mesh: MeshOptions
  @Flag(help: "Return when the mesh is up, and leave it running.") var detach = false
  @Flag(help: "Produce and consume in every region, and show the live lag.") var demo = false

  func validate() throws {
    guard !(detach && demo) else { throw ValidationError("--demo shows the lag until Ctrl-C; it cannot be detached") }
  }

  func run() async throws {
    let interrupt = detach ? nil : Interrupt.install()
    let launcher = MeshLauncher(directory: mesh.directory, group: MultiThreadedEventLoopGroup.singleton)
    let status = try await launcher.up(topologyFile: topology) { line in
      FileHandle.standardError.write(Data((line + "\n").utf8))
    }
    guard let interrupt else {
      MeshStatusOutput.print(status)
      return
    }
    if demo {
      do {
        try await Demo(status: status, topologyFile: topology, interrupt: interrupt).run()
      } catch {
        _ = try? await mesh.client.call(.down)
        throw error
      }
    } else {
      MeshStatusOutput.print(status)
      print("\nThe mesh is up. Ctrl-C stops it.")
      fflush(nil)
      await interrupt.wait()
    }
    FileHandle.standardError.write(Data("stopping\n".utf8))
    _ = try? await mesh.client.call(.down)
  }
}

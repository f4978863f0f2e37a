import Foundation
import NIOConcurrencyHelpers

#if canImport(Glibc)
  import Glibc
#endif

/// An etcd of one member, as a process of its own on free ports, in a directory that is removed with it.
public final class EtcdServer: @unchecked Sendable {
  /// The client port; the same after a restart.
  public let port: Int
  private let peerPort: Int
  private let directory: TemporaryDirectory
  private let process = NIOLockedValueBox<Process?>(nil)

  private init(port: Int, peerPort: Int, directory: TemporaryDirectory) {
    self.port = port
    self.peerPort = peerPort
    self.directory = directory
  }

  deinit {
    let running = process.withLockedValue { $0 }
    if let running, running.isRunning { kill(running.processIdentifier, SIGKILL) }
    directory.remove()
  }

  /// The program, if it is installed.
  public static let program: String? = ["/usr/bin/etcd", "/usr/local/bin/etcd"]
    .first { FileManager.default.isExecutableFile(atPath: $0) }

  /// The address as configurations have it.
  public var url: String { "etcd://127.0.0.1:\(port)" }

  /// The number of the process.
  public var processID: Int32 { process.withLockedValue { $0?.processIdentifier ?? 0 } }

  /// Starts one; it is ready when a client that tries again reaches it.
  public static func start() async throws -> EtcdServer {
    let server = EtcdServer(
      port: try await freePort(), peerPort: try await freePort(), directory: try TemporaryDirectory())
    try server.launch()
    return server
  }

  /// Runs `body` with a fresh one.
  public static func with<R>(_ body: (EtcdServer) async throws -> R) async throws -> R {
    let server = try await start()
    do {
      let result = try await body(server)
      server.stop()
      return result
    } catch {
      server.stop()
      throw error
    }
  }

  /// Starts the process again after `stop`, with the data that it had.
  public func launch() throws {
    guard let program = Self.program else {
      throw TestSupportError("etcd is not installed; scripts/setup.sh installs it.")
    }
    let child = Process()
    child.executableURL = URL(fileURLWithPath: program)
    let client = "http://127.0.0.1:\(port)"
    let peer = "http://127.0.0.1:\(peerPort)"
    child.arguments = [
      "--name", "test", "--data-dir", directory.file("data"), "--listen-client-urls", client,
      "--advertise-client-urls", client, "--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer,
      "--initial-cluster", "test=\(peer)", "--heartbeat-interval", "20", "--election-timeout", "200",
      "--log-level", "error", "--unsafe-no-fsync",
    ]
    let log = directory.file("etcd.log")
    _ = FileManager.default.createFile(atPath: log, contents: nil)
    let output = FileHandle(forWritingAtPath: log)
    child.standardOutput = output
    child.standardError = output
    try child.run()
    process.withLockedValue { $0 = child }
  }

  /// Kills the process as a crash does, and waits for its end.
  public func stop() {
    let running = process.withLockedValue { process in
      defer { process = nil }
      return process
    }
    guard let running else { return }
    kill(running.processIdentifier, SIGCONT)
    kill(running.processIdentifier, SIGKILL)
    running.waitUntilExit()
  }

  /// Stops its threads without its knowing, or lets them go on.
  public func setPaused(_ isPaused: Bool) {
    kill(processID, isPaused ? SIGSTOP : SIGCONT)
  }
}

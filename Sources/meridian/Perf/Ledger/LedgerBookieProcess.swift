import ArgumentParser
import Atomics
import Foundation
import NIOConcurrencyHelpers
import Transport

/// `meridian perf ledger-bookie`: one of the bookies of `perf ledger`, in a process of its own. It prints its port, takes `slow
/// MICROSECONDS` lines on its standard input, and ends with it. It is not meant for people.
struct LedgerBookieProcess: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "ledger-bookie", abstract: "Run a bookie of `perf ledger`.", shouldDisplay: false)

  @Argument var name: String
  @Argument var directory: String

  func run() async throws {
    let delay = ManagedAtomic<Int>(0)
    let name = name
    let bookie = try await BookieUnderTest.start(directory, group: EventLoops.makeGroup(count: 1)) { configuration in
      configuration.bookieID = name
      configuration.faults.beforeJournalSync = {
        let microseconds = delay.load(ordering: .relaxed)
        if microseconds > 0 { usleep(UInt32(clamping: microseconds)) }
      }
    }
    print(bookie.address.port)
    fflush(nil)
    try await onThread {
      while let line = readLine() {
        let words = line.split(separator: " ")
        if words.first == "slow", let number = words.last.flatMap({ Int($0) }) {
          delay.store(number, ordering: .relaxed)
        }
      }
    }
    try await bookie.stop(flushing: false)
  }

  /// Such a process, and a hold on it. It ends when this one does.
  final class Handle: Sendable {
    let name: String
    let port: Int
    private let process: NIOLockedValueBox<Process>
    private let input: FileHandle

    /// Starts it, and waits until it serves.
    init(name: String, directory: String) throws {
      let process = Process()
      process.executableURL = URL(fileURLWithPath: "/proc/self/exe").resolvingSymlinksInPath()
      process.arguments = ["perf", "ledger-bookie", name, directory]
      let (input, output) = (Pipe(), Pipe())
      process.standardInput = input
      process.standardOutput = output
      try process.run()
      var text = ""
      while !text.contains("\n") {
        let bytes = output.fileHandleForReading.availableData
        guard !bytes.isEmpty else { throw CommandFailure("the bookie in \(directory) did not start") }
        text += String(decoding: bytes, as: UTF8.self)
      }
      guard let port = Int(text.trimmingCharacters(in: .whitespacesAndNewlines)) else {
        throw CommandFailure("the bookie in \(directory) did not say its port: \(text)")
      }
      self.name = name
      self.port = port
      self.input = input.fileHandleForWriting
      self.process = NIOLockedValueBox(process)
    }

    /// Makes each sync of its journal take so much longer.
    func slowDown(microseconds: Int) {
      try? input.write(contentsOf: Data("slow \(microseconds)\n".utf8))
    }

    /// Stops it where it stands, or lets it go on.
    func pause(_ isPaused: Bool) {
      _ = process.withLockedValue { kill($0.processIdentifier, isPaused ? SIGSTOP : SIGCONT) }
    }

    /// Ends it. Blocks.
    func end() {
      pause(false)
      try? input.close()
      process.withLockedValue { $0.waitUntilExit() }
    }
  }
}

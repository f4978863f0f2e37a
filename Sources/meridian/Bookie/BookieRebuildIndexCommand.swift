import ArgumentParser
import Bookie
import Foundation

/// `meridian bookie rebuild-index`: the one verb that works on a bookie's directories, while the bookie is stopped.
struct BookieRebuildIndexCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "rebuild-index", abstract: "Make the index of a stopped bookie anew from its entry logs.",
    discussion: """
      For a bookie that does not start because its index, or the file lastMark, is missing or damaged. Every record of every
      entry log is read and verified. Afterwards all ledgers of the bookie are fenced, and what it does not find is
      "unknown" until auto-recovery has compared every ledger with its other replicas: have auto-recovery enabled when the
      bookie starts. The former index is kept beside the new one.

      Example: meridian bookie rebuild-index --directory /data/bookie-1
      Example: meridian bookie rebuild-index --journal-directory /nvme0/journal \\
                 --ledger-directory /disk1/ledgers --ledger-directory /disk2/ledgers
      """)

  @Option(help: "The bookie's directory, if its journal and its ledgers are below it.") var directory: String?
  @Option(help: "A journal directory; repeat it for each, in the order of the bookie's configuration.")
  var journalDirectory: [String] = []
  @Option(help: "A ledger directory; repeat it for each, in the order of the bookie's configuration.")
  var ledgerDirectory: [String] = []
  @Flag(help: "Print a report for programs.") var json = false

  func validate() throws {
    let isUsual = directory != nil && journalDirectory.isEmpty && ledgerDirectory.isEmpty
    let isNamed = directory == nil && !journalDirectory.isEmpty && !ledgerDirectory.isEmpty
    guard isUsual || isNamed else {
      throw ValidationError("name --directory, or --journal-directory and --ledger-directory")
    }
  }

  func run() async throws {
    let (journals, ledgers) =
      directory.map { (["\($0)/journal"], ["\($0)/ledgers"]) } ?? (journalDirectory, ledgerDirectory)
    let isQuiet = json
    let report = try await withCheckedThrowingContinuation { continuation in
      Thread.detachNewThread {
        continuation.resume(
          with: Result {
            try IndexRebuild.run(journalDirectories: journals, ledgerDirectories: ledgers) { log in
              if !isQuiet { FileHandle.standardError.write(Data("reading \(log)\n".utf8)) }
            }
          })
      }
    }
    if json {
      let encoder = JSONEncoder()
      encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
      return print(String(decoding: try encoder.encode(report), as: UTF8.self))
    }
    print(
      "bookie \(report.bookieID): \(report.records) records of \(report.ledgers) ledgers in \(report.entryLogs) entry logs"
    )
    for path in report.unreadableLogs { print("cannot be read: \(path)") }
    for part in report.damaged { print("damaged: \(part)") }
    if report.damagedBytes > 0 { print("\(report.damagedBytes) bytes hold no whole record") }
    if report.missingBytes > 0 { print("\(report.missingBytes) bytes that complete logs should have were not found") }
    print("\(report.journalFiles) journal files will be replayed when the bookie starts")
    if let former = report.formerIndex { print("the former index is in \(former); remove it when all is well") }
    print(
      "Start the bookie with auto-recovery enabled: its ledgers are fenced and in limbo until they have been compared.")
  }
}

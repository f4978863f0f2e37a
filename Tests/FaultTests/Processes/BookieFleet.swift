import Foundation
import TestSupport

#if canImport(Glibc)
  import Glibc
#endif

/// Bookies as processes, each in a place (a port and a directory) of its own.
actor BookieFleet {
  /// One bookie and where it lives.
  struct Place {
    var id: String
    var port: Int
    var directory: String
    var process: ServerProcess?
    /// Whether somebody wants it to run.
    var isWanted = true
    /// How often the bookie here was given up for a new, empty one.
    var replacements = 0
  }

  private let program: String
  private let root: String
  private let metadataURL: String
  private let slowDisks: SlowDisks?
  private(set) var places: [Place]
  /// What should not have happened, one sentence each.
  private(set) var surprises: [String] = []
  /// Ends that were not asked for and are allowed: the metadata store was away, a disk was full.
  private(set) var ownEnds = 0

  /// - Parameter directories: where each bookie keeps its data.
  init(
    program: String, root: String, metadataURL: String, directories: [String], slowDisks: SlowDisks?
  ) async throws {
    self.slowDisks = slowDisks
    self.program = program
    self.root = root
    self.metadataURL = metadataURL
    places = []
    for (index, directory) in directories.enumerated() {
      places.append(Place(id: "bookie-\(index + 1)", port: try await freePort(), directory: directory))
    }
  }

  /// The program under test.
  static func program(file: String = #filePath) throws -> String {
    let beside = URL(fileURLWithPath: CommandLine.arguments[0]).deletingLastPathComponent().path + "/meridian"
    let tests = URL(fileURLWithPath: file).deletingLastPathComponent().deletingLastPathComponent()
    let built = tests.deletingLastPathComponent().deletingLastPathComponent().path + "/.build/debug/meridian"
    let candidates = [ProcessInfo.processInfo.environment["MERIDIAN_BIN"], beside, built].compactMap { $0 }
    guard let program = candidates.first(where: { FileManager.default.isExecutableFile(atPath: $0) }) else {
      throw TestSupportError("There is no meridian at \(candidates.joined(separator: ", ")); build it first.")
    }
    return program
  }

  func log(_ index: Int) -> String { root + "/" + "place-\(index + 1).log" }

  /// Starts the bookie at a place, unless it runs.
  func start(_ index: Int) throws {
    places[index].isWanted = true
    guard places[index].process?.end != nil || places[index].process == nil else { return }
    let place = places[index]
    let settings = """
      metadataServiceUri=\(metadataURL)
      bookieId=\(place.id)
      advertisedAddress=127.0.0.1
      bookiePort=\(place.port)
      journalDirectories=\(place.directory)/journal
      ledgerDirectories=\(place.directory)/ledgers
      httpServerEnabled=false
      metadataStoreSessionTimeoutMillis=6000
      numIOThreads=1
      journalMaxSizeMB=8
      journalPreAllocSizeMB=1
      dbStorage_writeCacheMaxSizeMb=8
      flushInterval=1500
      logSizeLimit=8388608
      gcWaitTime=3000
      garbageCollectionMassDeleteMinimum=1000000
      minorCompactionInterval=10
      majorCompactionInterval=20
      diskCheckInterval=500
      scrubInterval=30
      lostBookieRecoveryDelay=6
      openLedgerRereplicationGracePeriod=15000
      logLevel=info
      """
    let file = root + "/place-\(index + 1).conf"
    try settings.write(toFile: file, atomically: true, encoding: .utf8)
    places[index].process = try ServerProcess(
      program, ["bookie", "run", "--config", file], log: log(index),
      environment: slowDisks?.environment(place: index) ?? [:])
  }

  /// Ends the bookie at a place by a signal; returns when it is gone.
  func stop(_ index: Int, by signal: Int32) async {
    places[index].isWanted = false
    guard let process = places[index].process else { return }
    if let end = process.end {
      note(end, index)
      places[index].process = nil
      return
    }
    process.send(SIGCONT)
    process.send(signal)
    let end = await process.waitForEnd(within: .seconds(40))
    places[index].process = nil
    switch (signal, end) {
    case (_, nil):
      surprises.append("\(places[index].id) did not end within 40 s of signal \(signal)")
      process.send(SIGKILL)
      _ = await process.waitForEnd(within: .seconds(10))
    case (SIGTERM, .code(0)?), (SIGKILL, .signal(SIGKILL)?): break
    case (_, let end?): note(end, index)
    }
  }

  func pause(_ index: Int) { places[index].process?.send(SIGSTOP) }

  func resume(_ index: Int) { places[index].process?.send(SIGCONT) }

  /// Starts what has ended by itself and should run.
  func supervise() {
    for index in places.indices where places[index].isWanted {
      if let end = places[index].process?.end {
        note(end, index)
        places[index].process = nil
      }
      if places[index].process == nil {
        do { try start(index) } catch { surprises.append("\(places[index].id) cannot be started: \(error)") }
      }
    }
  }

  /// Whether the bookie says, since `offset` of its log, that its own disk is damaged beyond what it may serve.
  func isBeyondRepair(_ index: Int) -> Bool {
    lastLine(index).contains("cannot start") && !lastLine(index).contains("etcd")
  }

  func lastLine(_ index: Int) -> String {
    let text = (try? String(contentsOfFile: log(index), encoding: .utf8)) ?? ""
    return text.split(separator: "\n").last { $0.contains("rror") || $0.contains("critical") }.map(String.init) ?? ""
  }

  /// Gives the bookie at a place up: the next one there is a new one with empty directories.
  func replace(_ index: Int) {
    places[index].replacements += 1
    places[index].id = "bookie-\(index + 1)-\(places[index].replacements + 1)"
    for name in ["journal", "ledgers"] {
      try? FileManager.default.removeItem(atPath: places[index].directory + "/" + name)
    }
  }

  /// Ends every process.
  func end() async {
    for index in places.indices { await stop(index, by: SIGKILL) }
  }

  private func note(_ end: ServerProcess.End, _ index: Int) {
    switch end {
    // One that is told to end before it has begun to listen for that ends at once.
    case .signal(let number) where number != SIGKILL && number != SIGTERM:
      surprises.append("\(places[index].id) was ended by signal \(number); its log is \(log(index))")
    default:
      ownEnds += 1
    }
  }
}

import Foundation
import Logging
import MetadataStore
import TestSupport

/// One run of the suite: an etcd, five bookies, writers and faults; then everything is read back.
struct FaultRun {
  /// What came of it.
  struct Report: Sendable {
    var seed: UInt64
    var acknowledged: Int64 = 0
    var verified: Int64 = 0
    var copies = CopyCount()
    var faults: [Fault: Int] = [:]
    var replaced = 0
    var ownEnds = 0
    var ledgers = ""
    var violations: [String] = []

    /// The whole of it in a few lines.
    var text: String {
      let faults = Fault.allCases.map { "\($0.rawValue) \(self.faults[$0] ?? 0)" }.joined(separator: ", ")
      return """
        seed \(seed): \(acknowledged) entries acknowledged, \(verified) verified, in \(ledgers)
        copies: \(copies.good) identical, \(copies.absent) absent, \(copies.damaged) known to be damaged, \
        \(copies.unreachable) unreachable
        faults: \(self.faults.values.reduce(0, +)) (\(faults)); bookies replaced after damage: \(replaced); \
        processes that ended by themselves: \(ownEnds)
        violations: \(violations.isEmpty ? "none" : violations.joined(separator: "\\n  "))
        """
    }
  }

  var seed: UInt64
  var time: Duration
  var writers = 4
  var isVerbose = false
  /// Acknowledged bytes after which the oldest ledgers are verified and deleted.
  var retainedBytes = 24 << 20
  /// How long repair may take, after the last fault, to make every copy whole.
  var repairTime = Duration.seconds(180)

  func run() async throws -> Report {
    let program = try BookieFleet.program()
    let directory = try TemporaryDirectory()
    let disk = SmallDisk.mount(at: directory.file("small-disk"), megabytes: 160)
    if disk == nil { print("No right to mount here: the disk that fills up is left out.") }
    let slowDisks = SlowDisks(root: directory.path)
    if slowDisks == nil { print("No C compiler here: disks that become slow are left out.") }
    defer {
      disk?.unmount()
      directory.remove()
    }
    var report = Report(seed: seed)
    try await EtcdServer.with { etcd in
      try await run(program, directory, disk, slowDisks, etcd, &report)
    }
    return report
  }

  private func run(
    _ program: String, _ directory: TemporaryDirectory, _ disk: SmallDisk?, _ slowDisks: SlowDisks?,
    _ etcd: EtcdServer, _ report: inout Report
  ) async throws {
    var random = SeededRandom(seed)
    let places = Array(0..<5).shuffled(using: &random)
    let (victim, diskPlace) = (places[0], places[1])
    let directories = (0..<5).map {
      $0 == diskPlace ? disk?.path ?? directory.file("place-\($0 + 1)") : directory.file("place-\($0 + 1)")
    }
    let metadata = try await open(etcd)
    let rivalMetadata = try await open(etcd)
    let fleet = try await BookieFleet(
      program: program, root: directory.path, metadataURL: etcd.url, directories: directories, slowDisks: slowDisks)
    let load = LedgerLoad(metadata: metadata, rivalMetadata: rivalMetadata, retainedBytes: retainedBytes)
    do {
      for index in 0..<5 { try await fleet.start(index) }
      try await allServe(load, fleet)
      let injector = FaultInjector(
        fleet: fleet, etcd: etcd, disk: disk, slowDisks: slowDisks, diskPlace: diskPlace, victim: victim,
        seed: random.next(),
        isVerbose: isVerbose, ledgersNameOnly: { await load.ledgersName(only: $0) })
      async let writing: Void = load.run(writers: writers, seed: random.next())
      try await Task.sleep(for: .seconds(1))
      await injector.run(for: time)
      load.stop()
      await writing
      report.faults = await injector.counts
      report.replaced = await injector.replaced
      try await allServe(load, fleet)
      await readBack(load, fleet, &report)
    } catch {
      report.violations.append("the run ended early: \(error)")
    }
    report.acknowledged = load.book.acknowledged
    report.verified = load.book.verified
    report.ledgers = load.book.summary
    report.ownEnds = await fleet.ownEnds
    report.violations += load.book.violations + (await fleet.surprises)
    if !report.violations.isEmpty {
      for index in 0..<5 { print("---- place \(index + 1)\n\(await tail(fleet.log(index)))") }
    }
    await fleet.end()
    try? await load.shutdown()
    try? await metadata.close()
    try? await rivalMetadata.close()
  }

  /// Every ledger that is left is closed, read and compared, then each copy of it, until repair has made all of them
  /// whole.
  private func readBack(_ load: LedgerLoad, _ fleet: BookieFleet, _ report: inout Report) async {
    if isVerbose { print("all bookies are back; \(load.book.records.count) ledgers are left") }
    let deadline = ContinuousClock.now + .seconds(90)
    var open: [Int64] = []
    for record in load.book.records {
      let left = max(.seconds(5), deadline - .now)
      if let reason = await load.verify(record.id, within: left) {
        report.violations.append("ledger \(record.id) cannot be read when all bookies are back: \(reason)")
      } else {
        open.append(record.id)
      }
    }
    if isVerbose { print("every ledger is read back: \(open.count)") }
    let end = ContinuousClock.now + repairTime
    while !open.isEmpty {
      let isLast = ContinuousClock.now > end
      var left: [Int64] = []
      for id in open {
        await fleet.supervise()
        do {
          let copies = try await load.compareCopies(id)
          if copies.isWhole || isLast { report.copies += copies }
          if !copies.isWhole { left.append(id) }
        } catch {
          left.append(id)
          if isLast { report.violations.append("the copies of ledger \(id) cannot be compared: \(error)") }
        }
      }
      open = left
      if isVerbose { print("ledgers with copies that repair has not made whole: \(left.count)") }
      if isLast, !left.isEmpty {
        for id in left.prefix(3) { await printLog(of: id, fleet) }
        report.violations.append(
          "after \(repairTime) repair has left copies of \(left.count) ledgers: \(report.copies.problems.sorted { $0.key < $1.key })"
        )
        return
      }
      if !left.isEmpty { try? await Task.sleep(for: .seconds(1)) }
    }
  }

  /// Prints what the bookies have said of a ledger.
  private func printLog(of ledger: Int64, _ fleet: BookieFleet) async {
    for index in 0..<5 {
      let text = (try? String(contentsOfFile: await fleet.log(index), encoding: .utf8)) ?? ""
      for line in text.split(separator: "\n") where line.contains("ledger=\(ledger) ") {
        print("place \(index + 1): \(line)")
      }
    }
  }

  private func allServe(_ load: LedgerLoad, _ fleet: BookieFleet) async throws {
    let deadline = ContinuousClock.now + .seconds(60)
    while await load.writableBookies() < 5 {
      await fleet.supervise()
      guard ContinuousClock.now < deadline else {
        throw TestSupportError("not all bookies serve: \(await load.writableBookies()) of 5 after 60 s")
      }
      try? await Task.sleep(for: .milliseconds(100))
    }
  }

  private func open(_ etcd: EtcdServer) async throws -> any MetadataStore {
    var logger = Logger(label: "load")
    logger.logLevel = .critical
    return try await MetadataStoreURL.open(etcd.url, logger: logger)
  }

  private func tail(_ path: String) -> String {
    let text = (try? String(contentsOfFile: path, encoding: .utf8)) ?? ""
    return text.split(separator: "\n").suffix(60).joined(separator: "\n")
  }
}

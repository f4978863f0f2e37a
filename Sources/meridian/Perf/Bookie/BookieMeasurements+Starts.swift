import Bookie
import Foundation

extension BookieMeasurements {
  /// The start of a bookie whose write cache had not been flushed when it was killed: a large one, and one as the default
  /// settings leave it. Speeds are of the time beyond that of a start with nothing to replay.
  func restart() async throws {
    let empty = "\(root)/nothing-to-replay"
    try await BookieUnderTest.start(empty, group: group).stop()
    let entries = options.journalBytes.bytes / (options.readSize.bytes + 44)
    let directory = "\(root)/restart"
    let room = 3 * options.journalBytes.bytes
    let bookie = try await BookieUnderTest.start(directory, group: group) { configuration in
      configuration.writeCacheSize = room
      configuration.flushInterval = .seconds(24 * 3600)
    }
    try await fill(bookie, ledgerID: 1, entries: entries, payloadBytes: options.readSize.bytes)
    let bytes = Double(bookie.bookie.statistics().journalBytes)
    try await bookie.stop(flushing: false)
    let journal = BookieUnderTest.journalFiles(directory)
    var (raw, own, without): ([Double], [BookieStartProbe.Report], [Double]) = ([], [], [])
    for _ in 0..<5 {
      raw.append(try await onThread { try DiskFiles.bestSequentialRead(journal) })
      without.append(try await BookieStartProbe.measure(empty).seconds)
      own.append(try await BookieStartProbe.measure(directory, writeCacheBytes: room))
      try await onThread { DiskFiles.dropCache(journal) }
    }
    own.sort { $0.seconds < $1.seconds }
    let base = without.sorted()[2]
    let report = own[2]
    figures.add("restart", "start with nothing to replay (median of 5)", base, "s")
    figures.add(
      "restart", "replay of \(Int(bytes) >> 20) MiB (median of 5)", bytes / 1e6 / max(1e-6, report.seconds - base),
      "MB/s",
      against: ("dd of the journal (median of 5)", raw.sorted()[2]), target: .atLeast(0.8))
    figures.add("restart", "CPU of the replay", report.cpuSeconds / report.seconds, "cores")
    try FileManager.default.removeItem(atPath: directory)

    let killed = "\(root)/killed"
    let ordinary = try await BookieUnderTest.start(killed, group: group)
    let stream = AddStream(
      address: ordinary.address, ledgerID: 1, payloadBytes: options.readSize.bytes, window: 256,
      limit: BookieConfiguration(bookieID: "perf", directory: killed).writeCacheSize / options.readSize.bytes * 7 / 4)
    _ = try await onThread { try stream.run(MeasureGate()) }
    try await ordinary.stop(flushing: false)
    let start = try await BookieStartProbe.measure(killed)
    figures.add("restart", "start after a kill under load, default settings", start.seconds, "s")
    try FileManager.default.removeItem(atPath: killed)
  }

  /// A bookie with very many ledgers of one small entry.
  func ledgers() async throws {
    let empty = "\(root)/no-ledgers"
    try await BookieUnderTest.start(empty, group: group).stop()
    let directory = "\(root)/many-ledgers"
    let bookie = try await BookieUnderTest.start(directory, group: group)
    let stream = AddStream(
      address: bookie.address, ledgerID: 1, isLedgerEach: true, payloadBytes: 8, window: options.window,
      limit: options.ledgers)
    let start = ContinuousClock.now
    _ = try await onThread { try stream.run(MeasureGate()) }
    figures.add(
      "ledgers", "created", Double(options.ledgers) / (ContinuousClock.now - start).inSeconds, "1/s")
    let stopping = ContinuousClock.now
    try await bookie.stop()
    figures.add("ledgers", "stopping", (ContinuousClock.now - stopping).inSeconds, "s")
    let without = try await BookieStartProbe.measure(empty)
    let with = try await BookieStartProbe.measure(directory)
    guard with.ledgers == options.ledgers else {
      throw CommandFailure("\(with.ledgers) of \(options.ledgers) ledgers are there after the restart")
    }
    figures.add("ledgers", "start with \(options.ledgers)", with.seconds, "s", target: .atMost(30))
    figures.add("ledgers", "start with none", without.seconds, "s")
    figures.add(
      "ledgers", "resident memory of an idle one",
      (with.residentBytes - without.residentBytes) / Double(options.ledgers), "bytes", target: .atMost(200))
  }
}

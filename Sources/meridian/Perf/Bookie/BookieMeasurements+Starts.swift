import Bookie
import Foundation

extension BookieMeasurements {
  /// A journal of which nothing was flushed, replayed by a bookie with the default settings, and by one whose write cache
  /// has room for all of it.
  func restart() async throws {
    let entries = options.journalBytes.bytes / (options.readSize.bytes + 44)
    for (name, keepsAll) in [("default write cache", false), ("all of it fits into the write cache", true)] {
      let directory = "\(root)/restart-\(keepsAll)"
      let room = 3 * options.journalBytes.bytes
      let bookie = try await BookieUnderTest.start(directory, group: group) { configuration in
        configuration.writeCacheSize = room
        configuration.flushInterval = .seconds(24 * 3600)
      }
      try await fill(bookie, ledgerID: 1, entries: entries, payloadBytes: options.readSize.bytes)
      let bytes = Double(bookie.bookie.statistics().journalBytes)
      try await bookie.stop(flushing: false)
      let journal = BookieUnderTest.journalFiles(directory)
      let raw = try await onThread { try DiskFiles.bestSequentialRead(journal) }
      let report = try await BookieStartProbe.measure(directory, writeCacheBytes: keepsAll ? room : nil)
      figures.add(
        "restart", "replay, \(name)", bytes / 1e6 / report.seconds, "MB/s",
        against: ("dd of the journal", raw), target: .atLeast(0.8))
      figures.add("restart", "CPU of the replay", report.cpuSeconds / report.seconds, "cores")
      try FileManager.default.removeItem(atPath: directory)
    }
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

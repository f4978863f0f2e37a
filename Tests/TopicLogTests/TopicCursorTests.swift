import NIOCore
import TestSupport
import Testing

@testable import TopicLog

@Suite("A topic's cursors")
struct TopicCursorTests {
  let ledgers = FakeLedgers()
  let metadata = MemoryMetadata()

  private func filled(
    _ count: Int, _ configure: (inout TopicLogConfiguration) -> Void = { _ in }
  ) async throws -> (TopicLog, [Position]) {
    let log = try await TopicLog.fake(ledgers, metadata, configure)
    return (log, try await log.append(all: (0..<count).map { "m\($0)" }).map { try $0.get() })
  }

  @Test("keeps everything over a graceful close, without a cursor ledger")
  func gracefulClose() async throws {
    let (log, positions) = try await filled(20)
    let cursor = try await log.openCursor("s", initial: .earliest, properties: ["a": 1])
    try await log.on {
      cursor.acknowledgeCumulative(positions[3])
      _ = cursor.acknowledge(positions[7])
      _ = cursor.acknowledge(positions[9], batchAckSet: [0b101], batchSize: 3)
    }
    try await log.close()
    let again = try await TopicLog.fake(ledgers, metadata)
    let same = try await again.openCursor("s", initial: .latest)
    try await again.on {
      #expect(same.markDelete == positions[3])
      #expect(same.isAcknowledged(positions[7]) && !same.isAcknowledged(positions[6]))
      #expect(same.remainingBatchBits(positions[9]) == [0b101])
      #expect(same.backlogEntries == 15 && same.individuallyAcknowledgedRanges == 1)
      #expect(same.properties == ["a": 1])
    }
    await eventually { ledgers.existing == [positions[0].ledgerID] }
    try await again.close()
  }

  @Test("who opens a cursor that is being deleted gets a new one")
  func openDuringDeletion() async throws {
    let (log, positions) = try await filled(3)
    let old = try await log.openCursor("s", initial: .earliest)
    try await log.on { old.acknowledgeCumulative(positions[2]) }
    let new = try await log.executor.run {
      // The deletion runs up to its first wait before the opening begins.
      let deletion = log.executor.start { try await log.deleteCursor("s") }
      let opening = log.executor.start { try await log.openCursor("s", initial: .earliest) }
      try await deletion.value
      return try await opening.value
    }
    #expect(new !== old)
    try await log.on {
      #expect(log.cursors["s"] === new)
      #expect(new.backlogEntries == 3)
    }
    await #expect(throws: TopicLogError.noSuchCursor(topic: log.name, cursor: "s")) { try await log.deleteCursor(old) }
    try await log.close()
    let again = try await TopicLog.fake(ledgers, metadata)
    #expect(try await again.on { again.cursors["s"]?.backlogEntries } == 3)
    try await again.close()
  }

  @Test("a deletion that fails leaves the cursor as it was")
  func failedDeletion() async throws {
    let (log, positions) = try await filled(3)
    let cursor = try await log.openCursor("s", initial: .earliest)
    try await cursor.setMarkDelete(positions[0], attachment: nil)
    metadata.state.withLockedValue { $0.deletesThatFail = 1 }
    await #expect(throws: (any Error).self) { try await log.deleteCursor("s") }
    #expect(try await log.openCursor("s", initial: .latest) === cursor)
    try await log.on { cursor.acknowledgeCumulative(positions[1]) }
    try await cursor.flush()
    // The log is abandoned here: its owner "died".
    let next = try await TopicLog.fake(ledgers, metadata)
    #expect(try await next.on { next.cursors["s"]?.markDelete } == positions[1])
    try await next.close()
  }

  @Test("a name that two cursors share: the durable one is opened, and only the right one is deleted")
  func sameName() async throws {
    let (log, _) = try await filled(3)
    let first = try await log.on { log.makeNonDurableCursor(name: "s", start: .earliest) }
    let second = try await log.on { log.makeNonDurableCursor(name: "s", start: .earliest) }
    try await log.deleteCursor(first)
    #expect(try await log.on { log.cursors["s"] } === second)
    let durable = try await log.openCursor("s", initial: .earliest)
    #expect(durable.isDurable)
    try await log.deleteCursor(second)
    #expect(try await log.on { log.cursors["s"] } === durable)
    try await log.close()
  }

  @Test("a crash costs at most what was acknowledged in the last interval")
  func crash() async throws {
    let (log, positions) = try await filled(50) { $0.markDeleteInterval = .milliseconds(10) }
    let cursor = try await log.openCursor("s", initial: .earliest)
    try await log.on { cursor.acknowledgeCumulative(positions[10]) }
    await eventually(on: log.eventLoop) { cursor.safeMarkDelete == positions[10] }
    try await cursor.setMarkDelete(positions[20], attachment: [1, 2, 3])
    try await log.on { _ = cursor.acknowledge(positions[40]) }
    // The log is abandoned here: its owner "died".
    let next = try await TopicLog.fake(ledgers, metadata)
    let same = try await next.openCursor("s", initial: .latest)
    try await next.on {
      #expect(same.markDelete == positions[20])
      #expect(same.attachment == [1, 2, 3])
      #expect(same.backlogEntries >= 28 && same.backlogEntries <= 29)
    }
    // What the one before still thinks it can save changes nothing any more.
    try await log.on { cursor.acknowledgeCumulative(positions[49]) }
    await #expect(throws: TopicLogError.self) { try await cursor.flush() }
    try await same.flush()
    try await next.close()
    let third = try await TopicLog.fake(ledgers, metadata)
    #expect(try await third.on { third.cursors["s"]?.markDelete } == positions[20])
    try await third.close()
  }

  @Test("falls back to the metadata store when its ledger is lost, and never forward")
  func lostLedger() async throws {
    let (log, positions) = try await filled(10)
    let cursor = try await log.openCursor("s", initial: .earliest)
    try await cursor.setMarkDelete(positions[2], attachment: nil)
    try await cursor.setMarkDelete(positions[6], attachment: nil)
    let ledger = try await log.on { log.internalStats.cursors["s"]?.cursorLedger ?? -1 }
    #expect(ledger >= 0)
    try await ledgers.delete(ledger)
    let next = try await TopicLog.fake(ledgers, metadata)
    #expect(try await next.on { next.cursors["s"]?.markDelete } == positions[2])
    try await next.close()
  }

  @Test("replaces its ledger when it is full or fails, and does without when there are no bookies")
  func ledgerReplacement() async throws {
    let (log, positions) = try await filled(30) { $0.cursorMaxEntriesPerLedger = 3 }
    let cursor = try await log.openCursor("s", initial: .earliest)
    for index in 0..<10 { try await cursor.setMarkDelete(positions[index], attachment: nil) }
    await eventually { ledgers.existing.count == 2 }
    ledgers.state.withLockedValue { $0.appendsUntilFailure = 0 }
    try await cursor.setMarkDelete(positions[12], attachment: nil)
    ledgers.state.withLockedValue {
      $0.appendsUntilFailure = 0
      $0.creationsThatFail = 1
    }
    try await cursor.setMarkDelete(positions[14], attachment: nil)
    #expect(try await log.on { log.internalStats.cursors["s"]?.cursorLedger } == -1)
    let next = try await TopicLog.fake(ledgers, metadata)
    #expect(try await next.on { next.cursors["s"]?.markDelete } == positions[14])
    try await next.close()
  }

  @Test("saves at most so many ranges; the others are delivered again")
  func cappedRanges() async throws {
    let (log, positions) = try await filled(100) { $0.maxUnackedRangesToPersist = 10 }
    let cursor = try await log.openCursor("s", initial: .earliest)
    try await log.on {
      for index in stride(from: 1, to: 100, by: 2) { _ = cursor.acknowledge(positions[index]) }
      #expect(cursor.individuallyAcknowledgedRanges == 50 && cursor.backlogEntries == 50)
    }
    try await cursor.flush()
    let next = try await TopicLog.fake(ledgers, metadata)
    #expect(try await next.on { next.cursors["s"]?.backlogEntries } == 90)
    try await next.close()
  }

  @Test("starts where it is told, resets, and is deleted")
  func positions() async throws {
    let (log, positions) = try await filled(10)
    let early = try await log.openCursor("early", initial: .earliest)
    let late = try await log.openCursor("late", initial: .latest)
    let at = try await log.openCursor("at", initial: .at(positions[4]))
    let reader = try await log.on { log.makeNonDurableCursor(name: "reader", start: .at(positions[9])) }
    try await log.on {
      #expect(early.backlogEntries == 10 && late.backlogEntries == 0 && at.backlogEntries == 6)
      #expect(reader.backlogEntries == 1 && !reader.isDurable)
      #expect(log.cursors.count == 4)
    }
    try await late.reset(to: positions[8])
    #expect(try await log.on { late.backlogEntries } == 2)
    try await log.deleteCursor("early")
    try await log.deleteCursor("reader")
    await #expect(throws: TopicLogError.noSuchCursor(topic: log.name, cursor: "early")) {
      try await log.deleteCursor("early")
    }
    let next = try await TopicLog.fake(ledgers, metadata)
    try await next.on {
      #expect(next.cursors.keys.sorted() == ["at", "late"])
      #expect(next.cursors["late"]?.backlogEntries == 2)
    }
    try await next.close()
  }

  @Test("one cursor comes of two calls at the same time")
  func concurrentOpen() async throws {
    let (log, _) = try await filled(1)
    async let a = log.openCursor("s", initial: .earliest)
    async let b = log.openCursor("s", initial: .latest)
    #expect(try await a === b)
    try await log.close()
  }
}

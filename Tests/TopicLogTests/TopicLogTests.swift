import NIOConcurrencyHelpers
import NIOCore
import TestSupport
import Testing

@testable import TopicLog

@Suite("A topic's log")
struct TopicLogTests {
  let ledgers = FakeLedgers()
  let metadata = MemoryMetadata()

  private func appendOneByOne(_ count: Int, to log: TopicLog) async throws -> [Position] {
    var positions: [Position] = []
    for index in 0..<count { positions.append(try await log.append("m\(index)")) }
    return positions
  }

  private func texts(_ range: Range<Int>) -> [String] { range.map { "m\($0)" } }

  @Test("appends and reads across roll-over, and again after a graceful close")
  func rollOver() async throws {
    let log = try await TopicLog.fake(ledgers, metadata) { $0.maxEntriesPerLedger = 10 }
    #expect(try await log.on { log.lastConfirmed } == .earliest)
    #expect(try await log.read(from: .earliest).isEmpty)
    var last = Position.earliest
    for batch in 0..<20 {
      for result in try await log.append(all: texts(batch * 5..<batch * 5 + 5)) {
        let position = try result.get()
        #expect(position > last)
        last = position
      }
    }
    #expect(try await log.readAll() == texts(0..<100))
    let stats = try await log.on { log.internalStats }
    #expect(stats.ledgers.count > 3 && stats.numberOfEntries == 100 && stats.state == "LedgerOpened")
    #expect(stats.lastConfirmedEntry == last)
    try await log.close()
    let again = try await TopicLog.fake(ledgers, metadata)
    #expect(try await again.readAll(step: 33) == texts(0..<100))
    #expect(try await again.on { again.lastConfirmed } == last)
    #expect(try await again.append("next") > last)
    try await again.close()
    await #expect(throws: TopicLogError.closed(topic: again.name)) { _ = try await again.append("late") }
    let filled = stats.ledgers.filter { $0.entries > 0 }
    #expect(ledgers.existing.count == filled.count + 1, "no empty or prepared ledger is left behind")
  }

  @Test("takes over after a crash without losing anything, and fences the owner before", arguments: [0, 5, 9, 12])
  func takeover(count: Int) async throws {
    let log = try await TopicLog.fake(ledgers, metadata) { $0.maxEntriesPerLedger = 10 }
    for index in 0..<count { _ = try await log.append("m\(index)") }
    let ended = NIOLockedValueBox<TopicLogError?>(nil)
    try await log.on { log.onFailure = { error in ended.withLockedValue { $0 = error } } }
    let next = try await TopicLog.fake(ledgers, metadata)
    #expect(try await next.readAll() == texts(0..<count))
    await #expect(throws: TopicLogError.fenced(topic: log.name)) { _ = try await log.append("zombie") }
    #expect(ended.withLockedValue { $0 } == .fenced(topic: log.name))
    _ = try await next.append("m\(count)")
    #expect(try await next.readAll() == texts(0..<count + 1))
    try await next.close()
  }

  @Test("re-sends what a failed ledger does not hold, in order", arguments: [0, 1, 3, 6], [1, 2])
  func replacement(stored: Int, failures: Int) async throws {
    let log = try await TopicLog.fake(ledgers, metadata)
    _ = try await log.append("m0")
    ledgers.state.withLockedValue {
      $0.appendsUntilFailure = 4
      $0.storedWithoutAnswer = stored
      $0.ledgersThatFail = failures
      // Closing through the writer fails: recovery decides, and finds what was stored without an answer.
      $0.closesThatFail = stored > 0 ? 1 : 0
    }
    let results = try await log.append(all: texts(1..<11))
    let positions = try results.map { try $0.get() }
    #expect(positions == positions.sorted() && Set(positions).count == 10)
    #expect(try await log.readAll() == texts(0..<11), "each exactly once")
    let next = try await TopicLog.fake(ledgers, metadata)
    #expect(try await next.readAll() == texts(0..<11))
    try await next.close()
  }

  @Test("fails appends without a trace when no ledger can be made, and recovers")
  func noLedger() async throws {
    let log = try await TopicLog.fake(ledgers, metadata) { $0.ledgerReplacementAttempts = 3 }
    ledgers.state.withLockedValue { $0.creationsThatFail = 3 }
    for result in try await log.append(all: texts(0..<3)) {
      #expect(throws: TopicLogError.self) { try result.get() }
      if case .failure(.noWritableLedger) = result {} else { Issue.record("\(result)") }
    }
    ledgers.state.withLockedValue { $0.creationsThatFail = 2 }
    _ = try await log.append("m0")
    #expect(try await log.readAll() == ["m0"])
    try await log.close()
  }

  @Test("ends when it cannot know what a failed ledger holds; opening it again decides")
  func undecided() async throws {
    let log = try await TopicLog.fake(ledgers, metadata) { $0.ledgerReplacementAttempts = 2 }
    _ = try await log.append("m0")
    ledgers.state.withLockedValue {
      $0.appendsUntilFailure = 1
      $0.storedWithoutAnswer = 1
      $0.closesThatFail = 2
      $0.recoveriesThatFail = 2
    }
    let results = try await log.append(all: texts(1..<4))
    #expect(throws: Never.self) { try results[0].get() }
    for result in results[1...] {
      if case .failure(.appendUndecided) = result {} else { Issue.record("\(result)") }
    }
    await #expect(throws: TopicLogError.self) { _ = try await log.append("late") }
    let next = try await TopicLog.fake(ledgers, metadata)
    #expect(try await next.readAll() == texts(0..<3), "the one that was stored is there, nothing overtook it")
    try await next.close()
  }

  @Test("survives lost answers and failures of the metadata store")
  func metadataFaults() async throws {
    let log = try await TopicLog.fake(ledgers, metadata) { $0.maxEntriesPerLedger = 5 }
    for index in 0..<40 {
      metadata.state.withLockedValue {
        $0.putsThatFail = index % 7 == 0 ? 1 : 0
        $0.putsWhoseAnswerIsLost = index % 5 == 0 ? 1 : 0
      }
      _ = try await log.append("m\(index)")
    }
    #expect(try await log.readAll() == texts(0..<40))
    metadata.state.withLockedValue { $0.putsWhoseAnswerIsLost = 1 }
    let next = try await TopicLog.fake(ledgers, metadata)
    #expect(try await next.readAll() == texts(0..<40))
    try await next.close()
  }

  @Test("positions grow over deletion and re-creation, and deletion leaves nothing")
  func deletion() async throws {
    let log = try await TopicLog.fake(ledgers, metadata) { $0.maxEntriesPerLedger = 4 }
    for index in 0..<10 { _ = try await log.append("m\(index)") }
    let cursor = try await log.openCursor("s/ö", initial: .earliest)
    let last = try await log.append("last")
    try await cursor.setMarkDelete(last, attachment: [1])
    try await log.delete()
    await #expect(throws: TopicLogError.deleted(topic: log.name)) { _ = try await log.append("x") }
    await eventually { ledgers.existing.isEmpty }
    #expect(metadata.state.withLockedValue { $0.records.isEmpty })
    let again = try await TopicLog.fake(ledgers, metadata)
    #expect(try await again.on { again.cursors.isEmpty && again.firstPosition == nil })
    #expect(try await again.append("m0") > last)
    try await again.close()
  }

  @Test("terminates")
  func termination() async throws {
    let log = try await TopicLog.fake(ledgers, metadata)
    let last = try await log.append("m0")
    #expect(try await log.terminate() == last)
    await #expect(throws: TopicLogError.terminated(topic: log.name)) { _ = try await log.append("x") }
    #expect(try await log.readAll() == ["m0"])
    try await log.close()
    let again = try await TopicLog.fake(ledgers, metadata)
    #expect(try await again.on { again.terminatedPosition } == last)
    await #expect(throws: TopicLogError.terminated(topic: log.name)) { _ = try await again.append("x") }
    #expect(try await again.readAll() == ["m0"])
    try await again.close()
  }

  @Test("finds a position by binary search")
  func search() async throws {
    let log = try await TopicLog.fake(ledgers, metadata) { $0.maxEntriesPerLedger = 7 }
    #expect(try await log.findPosition { _ in true } == nil)
    var positions: [Position] = []
    for index in 0..<30 { positions.append(try await log.append("\(100 + index)")) }
    for index in 0...30 {
      let found = try await log.findPosition { String(buffer: $0.payload) < "h:\(100 + index)" }
      #expect(found == (index < 30 ? positions[index] : nil))
    }
    try await log.close()
  }

  @Test("listeners hear of a batch once; the tail comes from the cache, and leaves it in time")
  func tail() async throws {
    let budget = EntryCacheBudget(limit: 4096)
    let log = try await TopicLog.fake(ledgers, metadata, cache: budget) { $0.cacheEvictionTime = .seconds(6) }
    _ = try await log.openCursor("s", initial: .earliest)
    let calls = NIOLockedValueBox(0)
    let id = try await log.on { log.addAppendListener { calls.withLockedValue { $0 += 1 } } }
    _ = try await log.append(all: texts(0..<50))
    await eventually { calls.withLockedValue { $0 } > 0 }
    #expect(calls.withLockedValue { $0 } < 10)
    let reads = ledgers.state.withLockedValue { $0.reads }
    #expect(try await log.readAll() == texts(0..<50))
    #expect(ledgers.state.withLockedValue { $0.reads } == reads, "nothing was read from the bookies")
    #expect(budget.bytesInUse > 0)
    await eventually { budget.bytesInUse == 0 }
    #expect(try await log.readAll() == texts(0..<50))
    #expect(ledgers.state.withLockedValue { $0.reads } > reads)
    // More than the budget holds: the cache keeps no gaps.
    _ = try await log.append(all: (50..<60).map { "m\($0)" + String(repeating: "x", count: 1000) })
    #expect(budget.bytesInUse <= 4096)
    #expect(try await log.readAll().count == 60)
    try await log.on { log.removeAppendListener(id) }
    try await log.close()
    #expect(budget.bytesInUse == 0)
  }

  @Test("cold readers of the same range share one read")
  func sharedReads() async throws {
    let log = try await TopicLog.fake(ledgers, metadata)
    _ = try await log.append(all: texts(0..<100))
    let before = ledgers.state.withLockedValue { $0.reads }
    try await withThrowingTaskGroup(of: [String].self) { group in
      for _ in 0..<10 { group.addTask { try await log.readAll(step: 10) } }
      for try await texts in group { #expect(texts == self.texts(0..<100)) }
    }
    #expect(ledgers.state.withLockedValue { $0.reads } - before < 20, "100 without sharing")
    try await log.close()
  }

  @Test("trims what every cursor has durably passed, and nothing at the floor")
  func trimming() async throws {
    let log = try await TopicLog.fake(ledgers, metadata) {
      $0.maxEntriesPerLedger = 5
      $0.markDeleteInterval = .seconds(600)
      $0.retentionTime = .zero
      $0.retentionSize = 0
    }
    let slow = try await log.openCursor("slow", initial: .earliest)
    let fast = try await log.openCursor("fast", initial: .earliest)
    let positions = try await appendOneByOne(30, to: log)
    await eventually(on: log.eventLoop) { log.internalStats.ledgers.dropLast().allSatisfy { $0.closedAtMs > 0 } }
    try await fast.setMarkDelete(positions[29], attachment: nil)
    try await log.trim()
    #expect(try await log.on { log.firstPosition } == positions[0])
    let marked = positions[17]
    try await log.on {
      log.trimFloor = positions[8]
      slow.acknowledgeCumulative(marked)
    }
    try await log.trim()
    #expect(try await log.on { log.firstPosition } == positions[0], "not saved yet: a crash would need it")
    try await slow.flush()
    try await log.trim()
    let first = try #require(try await log.on { log.firstPosition })
    #expect(first > positions[0] && first <= positions[8])
    try await log.on { log.trimFloor = nil }
    try await log.trim()
    let kept = try #require(try await log.on { log.firstPosition })
    #expect(kept > positions[8] && kept <= positions[18])
    #expect(try await log.readAll().last == "m29")
    #expect(try await log.on { slow.backlogEntries } == 12)
    await eventually { ledgers.existing.filter { $0 < kept.ledgerID && $0 >= positions[0].ledgerID }.count <= 2 }
    try await log.close()
    let again = try await TopicLog.fake(ledgers, metadata)
    #expect(try await again.on { again.firstPosition } == kept)
    #expect(try await again.on { again.cursors["slow"]?.backlogEntries } == 12)
    try await again.close()
  }
}

import BookieWire
import NIOConcurrencyHelpers
import NIOCore
import TestSupport
import Testing

@testable import Bookie

@Suite("Bookie: adds, reads, fences")
struct BookieServiceTests {
  @Test("Entries are acknowledged, read back, and found as the last one; absent ones are told apart")
  func addAndRead() async throws {
    try await BookieHarness.with { harness in
      let bookie = try await harness.start()
      let client = try await LocalClient.connect(bookie)
      #expect(try await client.add(1, 0...99).allSatisfy { $0 == .ok })
      #expect(try await client.has(1, 42))
      let last = try await client.read(1, -1)
      #expect(last.entryID == -1)
      #expect(last.entry?.getInteger(at: (last.entry?.readerIndex ?? 0) + 8, as: Int64.self) == 99)
      #expect(try await client.read(1, 100).code == .noEntry)
      #expect(try await client.read(2, 0).code == .noLedger)
      #expect(try await client.read(1, -2).code == .badRequest)
      let large = ByteBuffer(repeating: 9, count: 300_000)
      #expect(try await client.add(1, 100...102, payload: large) == [.ok, .ok, .ok])
      #expect(try await client.has(1, 101, payload: large))
      let statistics = bookie.statistics()
      #expect(statistics.adds == 103 && statistics.ledgers == 1 && statistics.journalSyncs >= 1)
      #expect(statistics.addLatency.count == 103)
      try await bookie.shutdown()
    }
  }

  @Test("Batch reads give a prefix within count and bytes, the first entry always")
  func batchRead() async throws {
    try await BookieHarness.with { harness in
      let bookie = try await harness.start()
      let client = try await LocalClient.connect(bookie)
      try await client.add(1, 0...9)
      try await client.add(1, 11...12)
      for _ in 0..<2 {
        #expect(try await client.batchRead(1, from: 3, count: 4).entries.count == 4)
        #expect(try await client.batchRead(1, from: 3, count: 0).entries.count == 7)
        #expect(try await client.batchRead(1, from: 3, count: 0, size: 1).entries.count == 1)
        #expect(try await client.batchRead(1, from: 10, count: 5).code == .noEntry)
        await bookie.checkpoint()
      }
      try await bookie.shutdown()
    }
  }

  @Test("Another master key is refused, on adds and fences")
  func masterKey() async throws {
    try await BookieHarness.with { harness in
      let bookie = try await harness.start()
      let client = try await LocalClient.connect(bookie)
      let other = LedgerMasterKey(password: [1])
      try await client.add(1, 0...0)
      #expect(try await client.add(1, 1...1, key: other) == [.unauthorized])
      #expect(try await client.read(1, -1, flags: .fencing, key: other).code == .unauthorized)
      #expect(try await client.add(1, 1...1) == [.ok])
      #expect(try await client.read(1, -1, flags: .fencing, key: BookieHarness.key).code == .ok)
      #expect(try await client.add(1, 2...3) == [.fenced, .fenced])
      #expect(try await client.add(1, 2...2, flags: .recoveryAdd) == [.ok])
      #expect(try await client.has(1, 2))
      #expect(try await client.read(1, 3).code == .noEntry)
      try await bookie.shutdown()
    }
  }

  @Test("A refused add does not appear after a restart")
  func refusedStaysAway() async throws {
    try await BookieHarness.with { harness in
      let bookie = try await harness.start()
      let client = try await LocalClient.connect(bookie)
      try await client.add(1, 0...0)
      _ = try await client.read(1, -1, flags: .fencing, key: BookieHarness.key)
      // One batch, so that the refused entry's bytes are in a record that is written.
      let codes = try await client.call { id in
        [
          BookieHarness.add(1, 1, ByteBuffer(string: "no"), id: id()),
          BookieHarness.add(2, 0, ByteBuffer(string: "payload"), id: id()),
        ]
      }
      #expect(codes.count == 2)
      try await bookie.abandon()
      let again = try await harness.start()
      let second = try await LocalClient.connect(again)
      #expect(try await second.read(1, 1).code == .noEntry)
      #expect(try await second.has(2, 0))
      try await again.shutdown()
    }
  }

  @Test("A negative answer to a fencing read comes only after the fence is synced, and the fence survives")
  func fenceIsDurable() async throws {
    let gate = Gate()
    try await BookieHarness.with { harness in
      let bookie = try await harness.start { $0.faults.beforeJournalSync = { () throws(BookieError) in gate.pass() } }
      let client = try await LocalClient.connect(bookie)
      gate.close()
      let answered = NIOLockedValueBox<[BookieReturnCode]>([])
      // Two at once: the second must wait for the same sync.
      let tasks = (0..<2).map { _ in
        Task {
          let code = try await client.read(77, -1, flags: .fencing, key: BookieHarness.key).code
          answered.withLockedValue { $0.append(code) }
        }
      }
      await eventually { gate.isWaiting }
      // Anything answered early would have been answered by now: this goes the whole way through the same connection.
      #expect(try await client.read(78, 0).code == .noLedger)
      #expect(answered.withLockedValue { $0.isEmpty })
      gate.open()
      for task in tasks { try await task.value }
      #expect(answered.withLockedValue { $0 } == [.noEntry, .noEntry])
      try await bookie.abandon()

      let again = try await harness.start()
      let second = try await LocalClient.connect(again)
      #expect(try await second.add(77, 0...0) == [.fenced])
      try await again.shutdown()
    }
  }

  @Test("An add is not acknowledged before its sync, and a failed sync acknowledges nothing and is final")
  func failedSync() async throws {
    let isBroken = NIOLockedValueBox(false)
    let reports = NIOLockedValueBox<[String]>([])
    try await BookieHarness.with { harness in
      let bookie = try await harness.start { configuration in
        configuration.faults.beforeJournalSync = { () throws(BookieError) in
          if isBroken.withLockedValue({ $0 }) { throw .io(action: "Syncing", path: "the journal", errno: 5) }
        }
        configuration.failureAction = { report in reports.withLockedValue { $0.append(report) } }
      }
      let client = try await LocalClient.connect(bookie)
      #expect(try await client.add(1, 0...0) == [.ok])
      isBroken.withLockedValue { $0 = true }
      let answered = NIOLockedValueBox(false)
      let add = Task {
        _ = try? await client.add(1, 1...1)
        answered.withLockedValue { $0 = true }
      }
      await eventually { reports.withLockedValue { $0.count == 1 } }
      #expect(reports.withLockedValue { $0.first?.contains("must not be repeated") } == true)
      isBroken.withLockedValue { $0 = false }
      let second = Task { _ = try? await client.add(1, 2...2) }
      #expect(!answered.withLockedValue { $0 })
      #expect(bookie.statistics().journalSyncs == 1)
      try await bookie.abandon()
      await add.value
      await second.value
    }
  }

  @Test("A full write cache makes adds wait, bounded, and loses none of them")
  func backPressure() async throws {
    let isBroken = NIOLockedValueBox(true)
    try await BookieHarness.with { configuration in
      configuration.writeCacheSize = 64 * 1024
      configuration.maximumWaitingBytes = 128 * 1024
      configuration.maximumFlushFailures = 1000
      configuration.faults.beforeFlush = { () throws(BookieError) in
        if isBroken.withLockedValue({ $0 }) { throw .io(action: "Flushing", path: "the disk", errno: 5) }
      }
    } _: { harness in
      let bookie = try await harness.start()
      let client = try await LocalClient.connect(bookie)
      let payload = ByteBuffer(repeating: 1, count: 1000)
      let results = Task {
        try await withThrowingTaskGroup(of: [BookieReturnCode].self) { group in
          for batch in Int64(0)..<40 {
            group.addTask { try await client.add(batch, 0...9, payload: payload) }
          }
          var all: [BookieReturnCode] = []
          for try await codes in group { all += codes }
          return all
        }
      }
      await eventually { bookie.statistics().rejectedAdds > 0 && bookie.statistics().failedFlushes > 0 }
      let full = bookie.statistics()
      #expect(full.waitingBytes > 0 && full.waitingBytes <= 128 * 1024)
      #expect(full.writeCacheBytes <= 2 * (32 * 1024 + 12 * 1024))
      #expect(full.failedFlushes > 0)
      isBroken.withLockedValue { $0 = false }
      let codes = try await results.value
      #expect(codes.count == 400)
      #expect(codes.allSatisfy { $0 == .ok || $0 == .tooManyRequests })
      let accepted = codes.count { $0 == .ok }
      #expect(bookie.statistics().adds == Int64(accepted))
      var readable = 0
      for ledger in Int64(0)..<40 where try await client.has(ledger, 9, payload: payload) { readable += 10 }
      #expect(readable == accepted)
      try await bookie.shutdown()
    }
  }

  @Test("Adds that wait for a flush that hangs are refused in time, and fences are answered meanwhile")
  func hangingFlush() async throws {
    let gate = Gate()
    try await BookieHarness.with { configuration in
      configuration.writeCacheSize = 64 * 1024
      configuration.maximumThrottleTime = .milliseconds(200)
      configuration.faults.beforeFlush = { () throws(BookieError) in gate.pass() }
    } _: { harness in
      let bookie = try await harness.start()
      let client = try await LocalClient.connect(bookie)
      gate.close()
      let payload = ByteBuffer(repeating: 1, count: 1000)
      var refused: Int64?
      for ledger in Int64(0)..<40 where refused == nil {
        let codes = try await client.add(ledger, 0...9, payload: payload)
        if codes.allSatisfy({ $0 == .tooManyRequests }) { refused = ledger }
      }
      #expect(refused != nil && gate.isWaiting)
      #expect(try await client.read(0, -1, flags: .fencing, key: BookieHarness.key).code == .ok)
      gate.open()
      await eventually { try await client.add(100, 0...0) == [.ok] }
      try await bookie.shutdown()
    }
  }
}

/// Stops a thread at a place until it is opened.
final class Gate: Sendable {
  private let state = ConditionLock<Bool>(value: true)
  private let waiting = NIOLockedValueBox(false)

  var isWaiting: Bool { waiting.withLockedValue { $0 } }

  func close() {
    state.lock()
    state.unlock(withValue: false)
  }

  func open() {
    state.lock()
    state.unlock(withValue: true)
  }

  func pass() {
    waiting.withLockedValue { $0 = true }
    state.lock(whenValue: true)
    state.unlock()
    waiting.withLockedValue { $0 = false }
  }
}

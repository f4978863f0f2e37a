import NIOCore
import TestSupport
import Testing

@testable import Ledgers

/// One of three bookies stopped, or a hundred times slower, with write quorum 3 and ack quorum 2.
@Suite(.serialized) struct SlowBookieTests {
  private static let options = LedgerOptions(ensembleSize: 3, writeQuorumSize: 3, ackQuorumSize: 2)

  private enum Trouble: String, CaseIterable { case stopped, slow }

  /// Time from append to acknowledgement, each append after the one before, in microseconds.
  private static func latencies(_ ledger: WritableLedger, _ count: Int) async throws -> [Double] {
    let measured = NIOLockedLatencies()
    for _ in 0..<count {
      let clock = ContinuousClock()
      let start = clock.now
      _ = try await ledger.eventLoop.flatSubmit { () -> EventLoopFuture<EntryID> in
        let promise = ledger.eventLoop.makePromise(of: EntryID.self)
        ledger.append(ByteBuffer(integer: 1), ByteBuffer(repeating: 7, count: 100)) { result in
          measured.add((clock.now - start) / .microseconds(1))
          promise.completeWith(result.mapError { $0 as any Error })
        }
        return promise.futureResult
      }.get()
    }
    return measured.values
  }

  private final class NIOLockedLatencies: @unchecked Sendable {
    // Appended to on the ledger's loop, read after the last one was awaited.
    private(set) var values: [Double] = []
    func add(_ value: Double) { values.append(value) }
  }

  private static func percentile(_ values: [Double], _ share: Double) -> Double {
    let sorted = values.sorted()
    return sorted.isEmpty ? 0 : sorted[min(sorted.count - 1, Int(Double(sorted.count) * share))]
  }

  @Test func publishingGoesOnAsFastAsBefore() async throws {
    for trouble in Trouble.allCases {
      try await BookieCluster.with(3) { cluster in
        let client = await cluster.client(.inProcess) { $0.addEntryTimeout = .milliseconds(400) }
        var healthy: [Double] = []
        var troubled: [Double] = []
        var best = Double.infinity
        // Healthy and troubled rounds take turns, so that what else the machine does hits both alike.
        for round in 0..<8 where round < 3 || best > 1.2 {
          var p99: [Double] = []
          for isTroubled in [false, true] {
            await cluster.faults(of: "bookie-3") {
              $0.isSilent = isTroubled && trouble == .stopped
              $0.delay = isTroubled && trouble == .slow ? .milliseconds(150) : .zero
            }
            let ledger = try await client.createLedger(Self.options, on: cluster.loop)
            _ = try await Self.latencies(ledger, 5)
            let measured = try await Self.latencies(ledger, 100)
            if isTroubled { troubled += measured } else { healthy += measured }
            p99.append(Self.percentile(measured, 0.99))
          }
          best = min(best, p99[1] / p99[0])
        }
        print(
          "measured one of three bookies \(trouble.rawValue): p99 \(Int(Self.percentile(troubled, 0.99))) µs, healthy "
            + "\(Int(Self.percentile(healthy, 0.99))) µs, ratio of the "
            + "calmest round \((best * 100).rounded() / 100), \(troubled.count) appends each")
        // A machine that does other things too has its own hiccups in most rounds; a writer that waits for the bookie, or
        // stands still while it looks for another one, is slow in all of them.
        #expect(best <= 1.2)
      }
    }
  }

  @Test func aDeadBookieCostsBoundedMemoryAndTheWriterGoesOn() async throws {
    try await BookieCluster.with(3) { cluster in
      let client = await cluster.client(.inProcess) {
        $0.addEntryTimeout = .seconds(60)
        $0.maximumQueuedBytesPerBookie = 1 << 20
      }
      await cluster.faults(of: "bookie-3") { $0.isSilent = true }
      let ledger = try await client.createLedger(Self.options, on: cluster.loop)
      let outcome = try await LedgerLoad.run(ledger, count: 2_000, window: 100, size: 5_000)
      #expect(outcome.acknowledged == 2_000)
      #expect(outcome.isOrdered)
      let (queued, pending) = try await ledger.eventLoop.submit {
        (try client.bookies(on: ledger.eventLoop).connection(to: "bookie-3").queuedBytes, ledger.pendingBytes)
      }.get()
      #expect(queued > 0)
      #expect(queued <= 1 << 20)
      #expect(pending == 0)
      // What it lacks is known.
      _ = try await ledger.close()
      await eventually { try await LedgerOperator(client: client).underReplicated().first?.suspects.isEmpty == false }
    }
  }

  @Test func aSlowBookieIsReplacedWhereThereIsAnother() async throws {
    try await BookieCluster.with(4) { cluster in
      let client = await cluster.client(.inProcess) {
        $0.addEntryTimeout = .seconds(60)
        $0.slowBookieLatencyFloor = .milliseconds(100)
        $0.slowBookiePatience = .milliseconds(400)
        $0.addEntryQuorumTimeout = .seconds(20)
      }
      let ledger = try await client.createLedger(Self.options, on: cluster.loop)
      let slow = ledger.metadata.lastSegment.ensemble[1]
      await cluster.faults(of: slow) { $0.delay = .milliseconds(2_500) }
      var appended = 0
      await eventually {
        let outcome = try await LedgerLoad.run(ledger, count: 50, window: 10)
        #expect(outcome.acknowledged == 50 && outcome.isOrdered, "nothing fails: \(String(describing: outcome.error))")
        appended += 50
        return try await ledger.eventLoop.submit { !ledger.metadata.lastSegment.ensemble.contains(slow) }.get()
      }
      // It answers, late: it was not replaced for silence, and new ledgers avoid it for a while.
      let next = try await client.createLedger(Self.options, on: cluster.loop)
      #expect(!next.metadata.lastSegment.ensemble.contains(slow))
      let closed = try await ledger.close()
      #expect(closed.lastEntry == EntryID(appended) - 1)
      await cluster.faults(of: slow) { $0.delay = .zero }
      let entries = try await client.openLedger(ledger.id, on: cluster.loop).readAll()
      #expect(entries.count == appended && entries.allSatisfy { LedgerLoad.matches($0) })
    }
  }

  @Test func withoutItsAckQuorumALedgerFailsAfterTheQuorumTimeout() async throws {
    try await BookieCluster.with(3) { cluster in
      let client = await cluster.client(.inProcess) {
        $0.addEntryTimeout = .seconds(2)
        $0.addEntryQuorumTimeout = .milliseconds(300)
      }
      for bookie in ["bookie-1", "bookie-2"] { await cluster.faults(of: bookie) { $0.isSilent = true } }
      let ledger = try await client.createLedger(Self.options, on: cluster.loop)
      let outcome = try await LedgerLoad.run(ledger, count: 10)
      #expect(outcome.acknowledged == 0)
      guard case .timeout? = outcome.error else {
        Issue.record("\(String(describing: outcome.error))")
        return
      }
    }
  }

  @Test func readsOfASlowBookieAreAnsweredByAnother() async throws {
    try await BookieCluster.with(3) { cluster in
      let client = await cluster.client(.inProcess) { $0.batchReadEnabled = false }
      let ledger = try await client.createLedger(Self.options, on: cluster.loop)
      #expect(try await LedgerLoad.run(ledger, count: 200).acknowledged == 200)
      _ = try await ledger.close()
      let reader = try await client.openLedger(ledger.id, on: ledger.eventLoop)
      // What is usual is learnt first.
      #expect(try await reader.readAll().count == 200)
      let first = reader.metadata.lastSegment.ensemble[Int(ledger.id % 3)]
      await cluster.faults(of: first) { $0.delay = .seconds(2) }
      let start = ContinuousClock.now
      #expect(try await reader.readAll().count == 200)
      // Without speculation, or without learning who is slow, each round trip would take as long as the slow one.
      #expect(ContinuousClock.now - start < .milliseconds(1_900))
      #expect(try await reader.readAll().count == 200)
      let figures = await client.statistics()
      #expect(figures.speculativeReads > 0 && figures.reads.latency.count >= 3)
      #expect(figures.adds.latency.count == 200 && figures.adds.failures == 0)
      #expect(figures.creations.latency.count == 1 && figures.openings.latency.count == 1)
    }
  }
}

import Bookie
import BookieWire
import NIOCore
import TestSupport
import Testing

@testable import Ledgers

/// What went wrong in other recoveries, over real bookies.
@Suite(.serialized) struct RecoveryScenarioTests {
  private static let three = LedgerOptions(ensembleSize: 3, writeQuorumSize: 3, ackQuorumSize: 2)

  private final class Receiver: BookieAddReceiver {
    private let promise: EventLoopPromise<BookieReturnCode?>
    init(_ promise: EventLoopPromise<BookieReturnCode?>) { self.promise = promise }

    func addAnswered(_ entry: EntryID, slot: Int, generation: UInt32, _ code: BookieReturnCode?) {
      promise.succeed(code)
    }
  }

  private struct Answer: Sendable {
    var code: BookieReturnCode?
  }

  private static func fencingRead(
    _ client: LedgerClient, _ loop: any EventLoop, _ bookie: String, _ ledger: LedgerID, _ entry: EntryID
  ) async throws -> BookieReturnCode? {
    let bookies = try client.bookies(on: loop)
    return try await loop.flatSubmit { () -> EventLoopFuture<Answer> in
      let promise = loop.makePromise(of: Answer.self)
      bookies.connection(to: bookie).read(
        ledgerID: ledger, entryID: entry, fencingKey: LedgerMasterKey(password: [])
      ) { code, _ in promise.succeed(Answer(code: code)) }
      return promise.futureResult
    }.get().code
  }

  private static func add(
    _ client: LedgerClient, _ loop: any EventLoop, _ bookie: String, _ ledger: LedgerID, _ entry: EntryID,
    _ flags: BookieRequestFlags
  ) async throws -> BookieReturnCode? {
    let bookies = try client.bookies(on: loop)
    return try await loop.flatSubmit { () -> EventLoopFuture<BookieReturnCode?> in
      let bytes = LedgerEntryCodec(digest: .crc32c).encode(
        LedgerEntryHeader(ledgerID: ledger, entryID: entry, lastAddConfirmed: entry - 1, length: 1),
        ByteBuffer(string: "x"))
      let promise = loop.makePromise(of: BookieReturnCode?.self)
      let receiver = Receiver(promise)
      bookies.connection(to: bookie).add(
        bytes, ledgerID: ledger, entryID: entry, flags: flags, key: LedgerMasterKey(password: []), receiver: receiver,
        slot: 0, generation: 0)
      return promise.futureResult
    }.get()
  }

  @Test func lateAddLandsAfterRecoveryRead() async throws {
    try await BookieCluster.with(3) { cluster in
      let writer = await cluster.client(.inProcess)
      let other = await cluster.client(.inProcess)
      let loop = cluster.loop
      let ledger = try await writer.createLedger(Self.three, on: loop)
      #expect(try await LedgerLoad.run(ledger, count: 10).acknowledged == 10)
      for bookie in await cluster.bookieIDs {
        #expect(try await Self.fencingRead(other, loop, bookie, ledger.id, 10) == .noEntry)
        // The read said that the entry is not there: from then on the writer cannot put it there.
        #expect(try await Self.add(writer, loop, bookie, ledger.id, 10, []) == .fenced)
        #expect(try await Self.fencingRead(other, loop, bookie, ledger.id, 10) == .noEntry)
        // Who recovers can.
        #expect(try await Self.add(other, loop, bookie, ledger.id, 11, .recoveryAdd) == .ok)
      }
      #expect(try await LedgerLoad.run(ledger, count: 1).error == .fenced(ledger.id))
    }
  }

  @Test func recoveryRacingRecovery() async throws {
    try await BookieCluster.with(4) { cluster in
      for round in 0..<6 {
        let options = round % 2 == 0 ? Self.three : LedgerOptions(ensembleSize: 3, writeQuorumSize: 2)
        let writer = await cluster.client(.inProcess)
        let ledger = try await writer.createLedger(options, on: cluster.loop)
        var clients: [LedgerClient] = []
        for _ in 0..<3 { clients.append(await cluster.client(.inProcess) { $0.recoveryReadBatchSize = 4 }) }
        // The writer knows nothing of it, and goes on.
        let load = Task { try await LedgerLoad.run(ledger, count: 2_000, window: 50) }
        await eventually(on: ledger.eventLoop) { ledger.lastAddConfirmed > 50 }
        let ends = try await withThrowingTaskGroup(of: (EntryID, Int64).self) { group in
          for client in clients {
            let loop = cluster.loop
            group.addTask {
              let reader = try await client.openLedger(ledger.id, on: loop)
              return (reader.lastEntry, reader.length)
            }
          }
          var ends: [(EntryID, Int64)] = []
          for try await end in group { ends.append(end) }
          return ends
        }
        let outcome = try await load.value
        #expect(outcome.error == .fenced(ledger.id) || outcome.acknowledged == 2_000)
        #expect(Set(ends.map(\.0)).count == 1 && Set(ends.map(\.1)).count == 1)
        let last = try #require(ends.first?.0)
        #expect(last >= EntryID(outcome.acknowledged) - 1)
        let entries = try await clients[0].openLedger(ledger.id, on: cluster.loop).readAll()
        #expect(entries.count == Int(last) + 1 && entries.allSatisfy { LedgerLoad.matches($0) })
      }
    }
  }

  @Test func recoveryRacingEnsembleChange() async throws {
    try await BookieCluster.with(5) { cluster in
      for round in 0..<6 {
        let writer = await cluster.client(.inProcess)
        let other = await cluster.client(.inProcess)
        let ledger = try await writer.createLedger(Self.three, on: cluster.loop)
        let broken = ledger.metadata.lastSegment.ensemble[round % 3]
        let load = Task { try await LedgerLoad.run(ledger, count: 3_000, window: 50) }
        await eventually(on: ledger.eventLoop) { ledger.lastAddConfirmed > 50 }
        await cluster.faults(of: broken) { $0.addCode = .ioError }
        // Half of the time the change has begun.
        if round % 2 == 0 { await eventually { writer.directory.suspects.contains(broken) } }
        let reader = try await other.openLedger(ledger.id, on: cluster.loop)
        let outcome = try await load.value
        await cluster.faults(of: broken) { $0.addCode = nil }
        #expect(outcome.error == .fenced(ledger.id) || outcome.acknowledged == 3_000)
        #expect(reader.lastEntry >= EntryID(outcome.acknowledged) - 1)
        let metadata = try await other.ledgerMetadata(ledger.id)
        #expect(metadata.state == .closed && metadata.lastEntry == reader.lastEntry)
        #expect(metadata.segments.map(\.firstEntry) == metadata.segments.map(\.firstEntry).sorted())
        let entries = try await reader.readAll()
        #expect(entries.count == Int(reader.lastEntry) + 1 && entries.allSatisfy { LedgerLoad.matches($0) })
      }
    }
  }

  @Test func metadataCASAppliedButReplyLost() async throws {
    try await BookieCluster.with(4) { cluster in
      let metadata = LossyMetadata(cluster.metadata)
      let client = await cluster.client(.inProcess, metadata: metadata)
      // An ensemble change: the writer finds its segment in place, and goes on.
      let ledger = try await client.createLedger(Self.three, on: cluster.loop)
      #expect(try await LedgerLoad.run(ledger, count: 20).acknowledged == 20)
      let broken = ledger.metadata.lastSegment.ensemble[0]
      await cluster.faults(of: broken) { $0.addCode = .ioError }
      metadata.loseAnswers(1)
      let outcome = try await LedgerLoad.run(ledger, count: 200)
      #expect(outcome.acknowledged == 200 && outcome.error == nil)
      await eventually { metadata.lost == 1 }
      await cluster.faults(of: broken) { $0.addCode = nil }
      // The claim of a recovery, and the end of it.
      metadata.loseAnswers(2)
      let reader = try await client.openLedger(ledger.id, on: cluster.loop)
      #expect(metadata.lost == 3)
      #expect(reader.lastEntry == 219)
      #expect(try await reader.readAll().allSatisfy { LedgerLoad.matches($0) })
      // A new ledger, and its end by the writer.
      metadata.loseAnswers(1)
      let second = try await client.createLedger(Self.three, on: cluster.loop)
      #expect(try await LedgerLoad.run(second, count: 10).acknowledged == 10)
      metadata.loseAnswers(1)
      #expect(try await second.close().lastEntry == 9)
      #expect(metadata.lost == 5)
      #expect(try await client.ledgerMetadata(second.id).state == .closed)
    }
  }

  @Test func lastConfirmedReadWithCorruptBody() async throws {
    try await BookieCluster.with(3) { cluster in
      let client = await cluster.client(.inProcess) { $0.recoveryAttempts = 1 }
      let ledger = try await client.createLedger(Self.three, on: cluster.loop)
      #expect(try await LedgerLoad.run(ledger, count: 20).acknowledged == 20)
      for bookie in ["bookie-1", "bookie-2"] {
        await cluster.faults(of: bookie) { $0.flipped = [ReadRequest.lastEntry] }
      }
      // Two of three answers are damaged: that is no proof of where the ledger ends, for a recovery or for a reader.
      await #expect { try await client.openLedger(ledger.id, on: cluster.loop) } throws: { error in
        if case LedgerError.dataUnavailable = error { true } else { false }
      }
      #expect(try await client.ledgerMetadata(ledger.id).state == .inRecovery)
      await #expect(throws: LedgerError.self) {
        try await client.openLedgerWithoutRecovery(ledger.id, on: cluster.loop)
      }
      await cluster.faults(of: "bookie-2") { $0.flipped = [] }
      let reader = try await client.openLedger(ledger.id, on: cluster.loop)
      #expect(reader.lastEntry == 19 && reader.length == 2_000)
    }
  }

  @Test func unknownLedgerStateDuringRecovery() async throws {
    try await BookieCluster.with(3) { cluster in
      let client = await cluster.client(.inProcess) { $0.recoveryAttempts = 1 }
      let ledger = try await client.createLedger(Self.three, on: cluster.loop)
      #expect(try await LedgerLoad.run(ledger, count: 20, window: 1).acknowledged == 20)
      // Two of three may have lost something: of the fence, ...
      for bookie in ["bookie-1", "bookie-2"] {
        await cluster.faults(of: bookie) { $0.readCodes = [ReadRequest.lastEntry: .unknownLedgerState] }
      }
      let isUnavailable: @Sendable (any Error) -> Bool = { error in
        if case LedgerError.dataUnavailable = error { true } else { false }
      }
      await #expect { try await client.openLedger(ledger.id, on: cluster.loop) } throws: { isUnavailable($0) }
      // ... and of the entry behind the last one, which nobody can then say was never there.
      for bookie in ["bookie-1", "bookie-2"] {
        await cluster.faults(of: bookie) { $0.readCodes = [20: .unknownLedgerState] }
      }
      await #expect { try await client.openLedger(ledger.id, on: cluster.loop) } throws: { isUnavailable($0) }
      #expect(try await client.ledgerMetadata(ledger.id).state == .inRecovery)
      // One of three is outvoted by two that know.
      await cluster.faults(of: "bookie-1") { $0.readCodes = [:] }
      let reader = try await client.openLedger(ledger.id, on: cluster.loop)
      #expect(reader.lastEntry == 19)
      #expect(try await reader.readAll().count == 20)
    }
  }

  @Test func writeQuorumOfOne() async throws {
    try await BookieCluster.with(3) { cluster in
      let client = await cluster.client(.inProcess) {
        $0.recoveryAttempts = 1
        $0.readEntryTimeout = .milliseconds(300)
      }
      let options = LedgerOptions(ensembleSize: 3, writeQuorumSize: 1, ackQuorumSize: 1)
      let ledger = try await client.createLedger(options, on: cluster.loop)
      #expect(try await LedgerLoad.run(ledger, count: 100).acknowledged == 100)
      // Each bookie alone may have acknowledged something: without one of them the end is unknown.
      await cluster.faults(of: "bookie-2") { $0.isSilent = true }
      await #expect(throws: LedgerError.self) { try await client.openLedger(ledger.id, on: cluster.loop) }
      #expect(try await client.ledgerMetadata(ledger.id).state == .inRecovery)
      await cluster.faults(of: "bookie-2") { $0.isSilent = false }
      let reader = try await client.openLedger(ledger.id, on: cluster.loop)
      #expect(reader.lastEntry == 99)
      let entries = try await reader.readAll()
      #expect(entries.count == 100 && entries.allSatisfy { LedgerLoad.matches($0) })
    }
  }

  @Test func ensembleThatIsNoMultipleOfTheWriteQuorum() async throws {
    try await BookieCluster.with(5) { cluster in
      let client = await cluster.client(.inProcess) { $0.readEntryTimeout = .milliseconds(500) }
      let options = LedgerOptions(ensembleSize: 5, writeQuorumSize: 3, ackQuorumSize: 2)
      let ledger = try await client.createLedger(options, on: cluster.loop)
      #expect(try await LedgerLoad.run(ledger, count: 103).acknowledged == 103)
      // The first and the last place together hold entries of their own over the end of the ring; one of them is silent.
      let silent = ledger.metadata.lastSegment.ensemble[4]
      await cluster.faults(of: silent) { $0.isSilent = true }
      let reader = try await client.openLedger(ledger.id, on: cluster.loop)
      #expect(reader.lastEntry == 102 && reader.length == 10_300)
      let entries = try await reader.readAll()
      #expect(entries.count == 103 && entries.allSatisfy { LedgerLoad.matches($0) })
      // What recovery could not write to it again is known.
      await eventually {
        try await LedgerOperator(client: client).underReplicated().contains { $0.ledgerID == ledger.id }
      }
    }
  }
}

import BookieWire
import Logging
import MetadataStore
import NIOConcurrencyHelpers
import NIOCore
import TestSupport
import Testing

@testable import Ledgers

/// What goes on while the metadata store is out of reach, and what is told when it is back.
@Suite(.serialized) struct MetadataOutageTests {
  private static let three = LedgerOptions(ensembleSize: 3, writeQuorumSize: 3, ackQuorumSize: 2)

  @Test(arguments: [3, 4])
  func aWriterWithItsAckQuorumOutlivesAnOutage(_ bookies: Int) async throws {
    try await BookieCluster.with(bookies) { cluster in
      let metadata = LossyMetadata(cluster.metadata)
      let client = await cluster.client(.inProcess, metadata: metadata) {
        $0.ensembleChangeRetryDelay = .milliseconds(50)
      }
      let ledger = try await client.createLedger(Self.three, on: cluster.loop)
      #expect(try await LedgerLoad.run(ledger, count: 50).acknowledged == 50)
      metadata.isDown = true
      let first = try await cluster.loop.submit { ledger.metadata.lastSegment.ensemble[0] }.get()
      await cluster.faults(of: first) { $0.addCode = .ioError }
      for _ in 0..<5 {
        let outcome = try await LedgerLoad.run(ledger, count: 100, window: 10)
        #expect(outcome.acknowledged == 100, "\(String(describing: outcome.error))")
      }
      metadata.isDown = false
      await cluster.faults(of: first) { $0.addCode = nil }
      if bookies == 4 {
        await eventually {
          _ = try await LedgerLoad.run(ledger, count: 1)
          return try await client.ledgerMetadata(ledger.id).lastSegment.ensemble.contains(first) == false
        }
      }
      let end = try await ledger.close()
      #expect(end.lastEntry >= 549)
      let marks = try await LedgerOperator(client: client).underReplicated()
      #expect(marks.first?.suspects.contains { $0.bookie == first } == true)
      #expect(try await client.openLedger(ledger.id, on: cluster.loop).readAll().count == Int(end.lastEntry) + 1)
    }
  }

  @Test func aLedgerThatWasDeletedFailsWithTheNextChange() async throws {
    try await BookieCluster.with(4) { cluster in
      let client = await cluster.client(.inProcess) { $0.ensembleChangeRetryDelay = .milliseconds(50) }
      let ledger = try await client.createLedger(Self.three, on: cluster.loop)
      #expect(try await LedgerLoad.run(ledger, count: 50).acknowledged == 50)
      try await client.deleteLedger(ledger.id)
      let first = try await cluster.loop.submit { ledger.metadata.lastSegment.ensemble[0] }.get()
      await cluster.faults(of: first) { $0.addCode = .ioError }
      await eventually { try await LedgerLoad.run(ledger, count: 10).error == .noSuchLedger(ledger.id) }
    }
  }

  @Test func whatIsMissingIsMarkedBeforeALedgerIsClosedAndBeforeTheClientEnds() async throws {
    try await BookieCluster.with(3) { cluster in
      let client = await cluster.client(.inProcess) {
        $0.addEntryTimeout = .seconds(60)
        $0.repairDelay = .seconds(60)
      }
      let operations = LedgerOperator(client: await cluster.client(.inProcess))
      let whole = try await client.createLedger(Self.three, on: cluster.loop)
      await cluster.faults(of: "bookie-3") { $0.delay = .milliseconds(20) }
      #expect(try await LedgerLoad.run(whole, count: 50).acknowledged == 50)
      _ = try await whole.close()
      #expect(try await operations.underReplicated().isEmpty, "who is just behind is waited for")
      await cluster.faults(of: "bookie-3") { $0.isSilent = true }
      let closed = try await client.createLedger(Self.three, on: cluster.loop)
      #expect(try await LedgerLoad.run(closed, count: 50).acknowledged == 50)
      _ = try await closed.close()
      #expect(try await operations.underReplicated().map(\.ledgerID) == [closed.id])
      let open = try await client.createLedger(Self.three, on: cluster.loop)
      #expect(try await LedgerLoad.run(open, count: 50).acknowledged == 50)
      try await client.shutdown()
      let marks = try await operations.underReplicated()
      #expect(marks.map(\.ledgerID) == [closed.id, open.id])
      for mark in marks { #expect(mark.suspects == [SuspectCopies(bookie: "bookie-3", first: 0, last: 49)]) }
    }
  }

  @Test func copiesInDoubtAreMarkedHoweverLongThatTakes() async throws {
    try await BookieCluster.with(1) { cluster in
      let metadata = LossyMetadata(cluster.metadata)
      metadata.isDown = true
      var logger = Logger(label: "queue")
      logger.logLevel = .critical
      let queue = RepairQueue(
        store: UnderReplicationStore(store: metadata), delay: .milliseconds(1), logger: logger)
      queue.report(7, SuspectCopies(bookie: "a", first: 1, last: 2))
      await #expect(throws: LedgerError.self) { try await queue.store(7) }
      try await Task.sleep(for: .milliseconds(100))
      metadata.isDown = false
      let marks = UnderReplicationStore(store: cluster.metadata)
      await eventually { try await marks.read(7)?.ledger.suspects.count == 1 }
      await queue.shutdown()
    }
  }

  @Test func whatIsReportedMeanwhileIsNotWaitedFor() async throws {
    try await BookieCluster.with(1) { cluster in
      let metadata = LossyMetadata(cluster.metadata)
      let queue = RepairQueue(
        store: UnderReplicationStore(store: metadata), delay: .seconds(60), logger: Logger(label: "queue"))
      let reports = NIOLockedValueBox(EntryID(0))
      metadata.beforeChanges {
        let entry = reports.withLockedValue { reports in
          reports += 1_000
          return reports
        }
        if entry <= 20_000 { queue.report(7, SuspectCopies(bookie: "a", first: entry, last: entry)) }
      }
      queue.report(7, SuspectCopies(bookie: "a", first: 0, last: 0))
      try await queue.store(7)
      #expect(reports.withLockedValue { $0 } == 1_000)
      await queue.shutdown()
      let marked = try await UnderReplicationStore(store: cluster.metadata).read(7)?.ledger.suspects
      #expect(marked?.map(\.first) == [0, 1_000])
    }
  }

  @Test func aWriterWithItsAckQuorumDoesNotWaitForAStoreThatHangs() async throws {
    try await BookieCluster.with(4) { cluster in
      let metadata = LossyMetadata(cluster.metadata)
      let client = await cluster.client(.inProcess, metadata: metadata) {
        $0.ensembleChangeRetryDelay = .milliseconds(50)
        $0.addEntryQuorumTimeout = .seconds(20)
      }
      let ledger = try await client.createLedger(Self.three, on: cluster.loop)
      #expect(try await LedgerLoad.run(ledger, count: 50).acknowledged == 50)
      let first = try await cluster.loop.submit { ledger.metadata.lastSegment.ensemble[0] }.get()
      metadata.hangs = true
      await cluster.faults(of: first) { $0.addCode = .ioError }
      for _ in 0..<3 {
        let outcome = try await LedgerLoad.run(ledger, count: 100, window: 10)
        #expect(outcome.acknowledged == 100, "\(String(describing: outcome.error))")
      }
      metadata.hangs = false
      await eventually {
        _ = try await LedgerLoad.run(ledger, count: 1)
        return try await client.ledgerMetadata(ledger.id).lastSegment.ensemble.contains(first) == false
      }
      let end = try await ledger.close()
      #expect(try await client.openLedger(ledger.id, on: cluster.loop).readAll().count == Int(end.lastEntry) + 1)
    }
  }

  @Test func whatIsReportedAgainAndAgainIsWrittenNowAndThen() async throws {
    try await BookieCluster.with(1) { cluster in
      let marks = UnderReplicationStore(store: cluster.metadata)
      let queue = RepairQueue(store: marks, delay: .milliseconds(1), logger: Logger(label: "queue"))
      queue.report(7, SuspectCopies(bookie: "a", first: 1, last: 2))
      await eventually { try await marks.read(7) != nil }
      for ledger in LedgerID(8)...12 {
        queue.report(7, SuspectCopies(bookie: "a", first: 2, last: 2))
        queue.report(ledger, SuspectCopies(bookie: "a", first: 1, last: 1))
        await eventually { try await marks.read(ledger) != nil }
      }
      #expect(try await marks.read(7)?.ledger.reports == 1)
      queue.report(7, SuspectCopies(bookie: "b", first: 2, last: 2))
      await eventually { try await marks.read(7)?.ledger.suspects.count == 2 }
      queue.report(7, SuspectCopies(bookie: "b", first: 2, last: 2))
      try await queue.store(7)
      #expect(try await marks.read(7)?.ledger.reports == 3, "a ledger that ends does not wait")
      await queue.shutdown()
    }
  }

  @Test func manyChangesAreReadTogetherAndOthersNotAtAll() async throws {
    try await BookieCluster.with(2) { cluster in
      let metadata = LossyMetadata(cluster.metadata)
      let client = await cluster.client(.inProcess, metadata: metadata)
      #expect(try await client.availableBookies().count == 2)
      let before = metadata.lists
      for entry in 0..<200 {
        try await cluster.metadata.put("/bookies/damaged/bookie-1/\(entry)", Array("3".utf8))
        try await cluster.metadata.put("/bookies/racks/bookie-1", Array(#"{"rack":"/\#(entry)"}"#.utf8))
      }
      await eventually { client.directory.registered["bookie-1"]?.networkLocation == "/199" }
      // Each reading takes three lists.
      #expect(metadata.lists - before < 200)
    }
  }

  @Test func theListOfBookiesIsReadUntilThatSucceeds() async throws {
    try await BookieCluster.with(2) { cluster in
      let metadata = LossyMetadata(cluster.metadata)
      let client = await cluster.client(.inProcess, metadata: metadata)
      #expect(try await client.availableBookies().count == 2)
      metadata.isDown = true
      try await cluster.metadata.put("/bookies/available/other", Array(#"{"host":"127.0.0.1","port":1}"#.utf8))
      let told = try await cluster.metadata.watch(prefix: "/bookies/")
      try await cluster.metadata.put("/bookies/racks/other", Array(#"{"rack":"/a"}"#.utf8))
      for await _ in told { break }
      metadata.isDown = false
      // Nothing more happens that it could be told of.
      await eventually { client.directory.registered["other"] != nil }
    }
  }
}

import NIOCore
import TestSupport
import Testing

@testable import Ledgers

@Suite(.serialized) struct LedgerOperatorTests {
  @Test func listsShowsReadsRecoversAndDeletes() async throws {
    try await BookieCluster.with(3) { cluster in
      let client = await cluster.client(.inProcess)
      let operations = LedgerOperator(client: client)
      var options = LedgerOptions()
      options.customMetadata = ["application": Array("pulsar".utf8), "raw": [0xFF, 0x01]]
      var ids: [LedgerID] = []
      for _ in 0..<12 { ids.append(try await client.createLedger(options, on: cluster.loop).id) }
      let ledger = try await client.createLedger(options, on: cluster.loop)
      #expect(try await LedgerLoad.run(ledger, count: 100, window: 5).acknowledged == 100)
      // Keys of auto-recovery are below the same root.
      try await client.marks.mark(ids[0]) { _ = $0.add(lost: ["nobody"], nowMs: 0) }

      var seen: [LedgerID] = []
      var after: LedgerID?
      repeat {
        let page = try await operations.list(after: after, limit: 5)
        #expect(page.ledgers.count <= 5)
        seen += page.ledgers.map(\.ledgerID)
        after = page.next
      } while after != nil
      #expect(Set(seen) == Set(ids + [ledger.id]))
      #expect(seen.count == 13)

      let open = try await operations.show(ledger.id)
      #expect(open.state == "OPEN" && open.lastEntry == nil)
      #expect(open.customMetadata == ["application": "pulsar", "raw": "ff01"])
      let entries = try await operations.read(ledger.id, from: 10, through: 1_000, maxBytes: 500)
      #expect(entries.map(\.entryID) == Array(10..<15))
      await #expect(throws: LedgerError.noSuchEntry(ledger.id, 100)) {
        try await operations.read(ledger.id, from: 100, through: 100)
      }
      #expect(try await operations.show(ledger.id).state == "OPEN", "reading fences nobody")

      let closed = try await operations.recover(ledger.id)
      #expect(closed.state == "CLOSED" && closed.lastEntry == 99 && closed.length == 10_000)
      #expect(try await LedgerLoad.run(ledger, count: 1).error == .fenced(ledger.id))

      await #expect(throws: LedgerError.self) { try await operations.delete(ledger.id, confirmation: "yes") }
      try await operations.delete(ledger.id, confirmation: "\(ledger.id)")
      await #expect(throws: LedgerError.noSuchLedger(ledger.id)) { try await operations.show(ledger.id) }
    }
  }

  @Test func formattingNeedsAConfirmationAndNoBookie() async throws {
    try await BookieCluster.with(1) { cluster in
      let client = await cluster.client(.inProcess)
      let operations = LedgerOperator(client: client)
      let options = LedgerOptions(ensembleSize: 1, writeQuorumSize: 1, ackQuorumSize: 1)
      let id = try await client.createLedger(options, on: cluster.loop).id
      try await client.marks.mark(id) { _ = $0.add(lost: ["nobody"], nowMs: 0) }
      await #expect(throws: LedgerError.self) { try await operations.format(confirmation: "yes") }
      await #expect(throws: LedgerError.self) {
        try await operations.format(confirmation: LedgerOperator.formatConfirmation)
      }
      try await cluster.stop("bookie-1")
      try await cluster.metadata.put("/bookies/damaged/bookie-1/\(id)", Array("3-5".utf8))
      try await cluster.metadata.put("/bookies/limbo/bookie-1", Array("limbo 7".utf8))
      #expect(try await operations.format(confirmation: LedgerOperator.formatConfirmation) == 1)
      #expect(try await operations.list().ledgers.isEmpty)
      #expect(try await operations.underReplicated().isEmpty)
      for kind in ["cookies", "damaged", "limbo"] {
        #expect(try await cluster.metadata.keys(prefix: "/bookies/\(kind)/").isEmpty)
      }
    }
  }
}

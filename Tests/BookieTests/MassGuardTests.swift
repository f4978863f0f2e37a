import BookieWire
import Testing

@testable import Bookie

@Suite("To remove most of what a bookie stores")
struct MassGuardTests {
  @Test("Most ledgers at once are refused until at least their number is confirmed, and then no others are removed")
  func decisions() {
    var guarding = MassGuard(share: 0.5, minimum: 3)
    #expect(guarding.check([1, 2], of: 2, confirmed: nil) == .allow)
    #expect(guarding.check([1, 2, 3], of: 6, confirmed: nil) == .allow)
    // What nobody saw refused is not confirmed, whatever the number.
    #expect(guarding.check([1, 2, 3, 4], of: 6, confirmed: 100) == .refuse)
    #expect(guarding.check([1, 2, 3, 4], of: 6, confirmed: 3) == .refuse)
    #expect(guarding.check([1, 2, 3, 4, 5], of: 6, confirmed: 4) == .confirmed([1, 2, 3, 4]))
    #expect(guarding.check([1, 2, 3, 4, 5], of: 6, confirmed: 5) == .refuse)
    // Another round found fewer since the operator was told of five.
    #expect(guarding.check([1, 2, 3, 4], of: 6, confirmed: nil) == .refuse)
    #expect(guarding.check([1, 2, 3, 4], of: 6, confirmed: 5) == .confirmed([1, 2, 3, 4]))
    #expect(guarding.check([1, 2, 3, 4], of: 6, confirmed: nil) == .refuse)
    #expect(guarding.check([1], of: 6, confirmed: nil) == .allow)
    #expect(guarding.check([1, 2, 3, 4], of: 6, confirmed: 4) == .refuse)
  }

  @Test("A mass delete that was refused is made when its number is confirmed")
  func confirmedDeletion() async throws {
    try await BookieHarness.with {
      $0.garbageCollectionMassDeleteMinimum = 3
    } _: { harness in
      let bookie = try await harness.start()
      let client = try await LocalClient.connect(bookie)
      for ledger in Int64(1)...4 { try await client.add(ledger, 0...3) }
      try await harness.metadata.put("/ledgers/4", [1])
      #expect(try await bookie.collectGarbage() == 0 && bookie.statistics().refusedLedgers == 3)
      #expect(try await bookie.collectGarbage(confirmed: 2) == 0 && bookie.statistics().refusedLedgers == 3)
      #expect(try await bookie.collectGarbage(confirmed: 3) == 3 && bookie.statistics().refusedLedgers == 0)
      #expect(bookie.ledgerIDs == [4])
      try await bookie.shutdown()
    }
  }

  @Test("Metadata that has most ledgers elsewhere is not believed before an operator confirms their number")
  func overReplicated() async throws {
    try await BookieHarness.with {
      $0.garbageCollectionMassDeleteMinimum = 3
    } _: { harness in
      let bookie = try await harness.start()
      let client = try await LocalClient.connect(bookie)
      for ledger in Int64(1)...4 {
        try await client.add(ledger, 0...3)
        try await harness.metadata.put("/ledgers/\(ledger)", Self.closedLedger(on: ledger < 4 ? "b2" : "b1"))
      }
      #expect(try await bookie.collectOverReplicatedLedgers() == 0)
      #expect(bookie.statistics().refusedOverReplicatedLedgers == 3 && bookie.statistics().refusedMassDeletes == 1)
      #expect(try await bookie.collectOverReplicatedLedgers(confirmed: 2) == 0)
      #expect(try await bookie.collectGarbage(confirmed: 3) == 0)
      #expect(try await client.has(1, 3))
      #expect(try await bookie.collectOverReplicatedLedgers(confirmed: 3) == 3)
      #expect(bookie.statistics().refusedOverReplicatedLedgers == 0)
      #expect(try await client.read(1, 3).code == .noEntry)
      #expect(try await client.has(4, 3))
      try await bookie.shutdown()
    }
  }

  /// Metadata of a closed ledger with one segment on one bookie.
  private static func closedLedger(on bookie: String) -> [UInt8] {
    let segment = [0x0A, UInt8(bookie.utf8.count)] + Array(bookie.utf8)
    let message = [0x28, 3, 0x32, UInt8(segment.count)] + segment
    return Array("BookieMetadataFormatVersion\t3\n".utf8) + [UInt8(message.count)] + message
  }
}

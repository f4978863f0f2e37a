import BookieWire
import NIOCore
import Testing

@testable import Ledgers

@Suite struct LedgerMetadataTests {
  private static func sample() -> LedgerMetadata {
    var metadata = LedgerMetadata(
      options: LedgerOptions(
        ensembleSize: 3, writeQuorumSize: 3, ackQuorumSize: 2, password: Array("secret".utf8),
        customMetadata: ["application": Array("pulsar".utf8), "empty": []]),
      ensemble: ["a", "b", "c"], createdMs: 1_700_000_000_000, creatorToken: -5)
    metadata.setEnsemble(["a", "d", "c"], from: 17)
    return metadata
  }

  @Test func survivesARoundTripInEveryState() throws {
    var metadata = Self.sample()
    #expect(try LedgerMetadataCodec.decode(try LedgerMetadataCodec.encode(metadata), of: 1) == metadata)
    metadata.state = .inRecovery
    #expect(try LedgerMetadataCodec.decode(try LedgerMetadataCodec.encode(metadata), of: 1) == metadata)
    metadata.state = .closed
    metadata.lastEntry = 40
    metadata.length = 12_345
    #expect(try LedgerMetadataCodec.decode(try LedgerMetadataCodec.encode(metadata), of: 1) == metadata)
  }

  @Test func isWrittenAsBookKeeperDoes() throws {
    let metadata = LedgerMetadata(
      options: LedgerOptions(ensembleSize: 1, writeQuorumSize: 1, ackQuorumSize: 1), ensemble: ["x"], createdMs: 1,
      creatorToken: 2)
    let text = Array("BookieMetadataFormatVersion\t3\n".utf8)
    let message: [UInt8] = [
      0x08, 1,  // write quorum
      0x10, 1,  // ensemble size
      0x18, 0,  // length
      0x28, 1,  // open
      0x32, 5, 0x0A, 1, 0x78, 0x10, 0,  // one segment: "x" from entry 0
      0x38, 3,  // CRC32C
      0x42, 0,  // no password
      0x48, 1,  // ack quorum
      0x50, 1,  // created
      0x60, 2,  // creator's token
    ]
    #expect(try LedgerMetadataCodec.encode(metadata) == text + [UInt8(message.count)] + message)
  }

  @Test func aSegmentThatStartsAtTheSameEntryIsReplaced() {
    var metadata = Self.sample()
    metadata.setEnsemble(["e", "d", "c"], from: 17)
    #expect(metadata.segments.count == 2)
    #expect(metadata.ensemble(of: 16) == ["a", "b", "c"])
    #expect(metadata.ensemble(of: 17) == ["e", "d", "c"])
    #expect(metadata.ensemble(of: 1_000) == ["e", "d", "c"])
  }

  @Test func refusesDamage() throws {
    let good = try LedgerMetadataCodec.encode(Self.sample())
    for length in 0..<good.count {
      #expect(throws: LedgerError.self) { try LedgerMetadataCodec.decode(Array(good.prefix(length)), of: 9) }
    }
    var generator = SeededGenerator(seed: 1)
    for _ in 0..<2_000 {
      var bad = good
      for _ in 0..<Int.random(in: 1...4, using: &generator) {
        bad[Int.random(in: 0..<bad.count, using: &generator)] = UInt8.random(in: 0...255, using: &generator)
      }
      _ = try? LedgerMetadataCodec.decode(bad, of: 9)
    }
  }

  @Test func optionsThatContradictThemselvesAreRefused() {
    #expect(throws: LedgerError.self) { try LedgerOptions(ensembleSize: 2, writeQuorumSize: 3).validate() }
    #expect(throws: LedgerError.self) { try LedgerOptions(ackQuorumSize: 3).validate() }
    #expect(throws: LedgerError.self) { try LedgerOptions(ensembleSize: 65).validate() }
    #expect(throws: Never.self) { try LedgerOptions().validate() }
  }

  @Test func placementPrefersHealthyBookies() {
    let candidates = (0..<5).map { BookieInfo(id: "b\($0)", host: "h", port: $0) }
    var generator = SeededGenerator(seed: 3)
    for _ in 0..<50 {
      let ensemble = RandomPlacement().newEnsemble(
        size: 3, writeQuorum: 2, candidates: candidates, avoiding: ["b0", "b1"], using: &generator)
      #expect(ensemble.map(Set.init) == ["b2", "b3", "b4"])
    }
    #expect(
      RandomPlacement().newEnsemble(
        size: 6, writeQuorum: 2, candidates: candidates, avoiding: [], using: &generator) == nil)
    #expect(
      RandomPlacement().replacement(
        for: 0, in: ["b0", "b1", "b2"], writeQuorum: 2, candidates: candidates, excluded: ["b0", "b1", "b2"],
        avoiding: ["b3"], using: &generator) == "b4")
    #expect(
      RandomPlacement().replacement(
        for: 0, in: ["b0", "b1", "b2"], writeQuorum: 2, candidates: candidates,
        excluded: ["b0", "b1", "b2", "b4"], avoiding: ["b3"], using: &generator) == "b3")
  }
}

/// Random numbers that repeat with their seed (SplitMix64).
struct SeededGenerator: RandomNumberGenerator {
  private var state: UInt64

  init(seed: UInt64) { state = seed &* 0x9E37_79B9_7F4A_7C15 &+ 0x1234_5678_9ABC_DEF1 }

  mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var mixed = state
    mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
    mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
    return mixed ^ (mixed >> 31)
  }
}

import BookieWire
import NIOCore
import Testing

@Suite("Bookie wire: entries and digests")
struct DigestTests {
  static let header = LedgerEntryHeader(ledgerID: 3, entryID: 4, lastAddConfirmed: 2, length: 11)

  @Test("Every digest round-trips and notices any flipped bit", arguments: LedgerDigest.allCases)
  func roundTrip(_ digest: LedgerDigest) throws {
    let codec = LedgerEntryCodec(digest: digest, password: Array("secret".utf8))
    let entry = codec.encode(Self.header, ByteBuffer(string: "hello "), ByteBuffer(string: "world")).joined()
    #expect(entry.readableBytes == codec.overhead + 11)
    let (header, payload) = try codec.decode(entry, ledgerID: 3, entryID: nil)
    #expect(header == Self.header && payload == ByteBuffer(string: "hello world"))
    guard digest != .dummy else { return }
    for index in 16..<entry.readableBytes {
      var damaged = entry
      damaged.setInteger(entry.getInteger(at: index, as: UInt8.self).map { $0 ^ 1 } ?? 0, at: index)
      #expect(throws: BookieWireError.digestMismatch(ledgerID: 3, entryID: 4)) {
        try codec.decode(damaged, ledgerID: 3, entryID: 4)
      }
    }
  }

  @Test("An entry of another ledger or number, or too short, is refused")
  func mismatch() {
    let codec = LedgerEntryCodec(digest: .crc32c)
    let entry = codec.encode(Self.header, ByteBuffer(string: "x")).joined()
    #expect(throws: BookieWireError.self) { try codec.decode(entry, ledgerID: 3, entryID: 5) }
    #expect(throws: BookieWireError.self) { try codec.decode(entry, ledgerID: 4, entryID: 4) }
    #expect(throws: BookieWireError.entryTooShort(35, atLeast: 36)) {
      try codec.decode(entry.getSlice(at: 0, length: 35) ?? entry, ledgerID: 3, entryID: 4)
    }
  }
}

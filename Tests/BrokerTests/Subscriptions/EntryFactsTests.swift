import NIOCore
import Testing

@testable import Broker

@Suite struct EntryFactsTests {
  @Test func readsWhatDispatchNeeds() throws {
    let entry = try StoredEntry.make(
      "x", messages: 7, key: "k", deliverAtMs: 99, publishTimeMs: 42, chunks: 3)
    let facts = EntryFacts(entry, needsKey: true)
    #expect(facts.messages == 7)
    #expect(facts.publishTimeMs == 42)
    #expect(facts.deliverAtMs == 99)
    #expect(facts.isChunk)
    #expect(!facts.isMarker)
    #expect(facts.keyHash == Murmur3.keyHash("k"))
    var producerBytes = entry
    producerBytes.moveReaderIndex(forwardBy: facts.brokerMetadataLength)
    #expect(producerBytes.getInteger(at: producerBytes.readerIndex, as: UInt16.self) == 0x0e01)
    #expect(EntryFacts(try StoredEntry.make(withBrokerMetadata: false), needsKey: false).brokerMetadataLength == 0)
    #expect(EntryFacts(try StoredEntry.make(marker: 10), needsKey: false).isMarker)
  }

  @Test func choosesTheKeyAsPulsarDoes() throws {
    func hash(_ entry: ByteBuffer) -> UInt16 { EntryFacts(entry, needsKey: true).keyHash }
    #expect(hash(try StoredEntry.make(key: "p", orderingKey: Array("o".utf8))) == Murmur3.keyHash("o"))
    #expect(hash(try StoredEntry.make(key: "AP8B", keyIsBase64: true)) == [0, 255, 1].withUnsafeKeyHash)
    #expect(hash(try StoredEntry.make(key: "not base64!", keyIsBase64: true)) == Murmur3.keyHash("not base64!"))
    #expect(hash(try StoredEntry.make(sequenceID: 12)) == Murmur3.keyHash("producer-12"))
  }

  @Test func damageIsOnePlainMessage() throws {
    let entry = try StoredEntry.make("text", messages: 5)
    for length in 0..<entry.readableBytes - 4 {
      let facts = EntryFacts(entry.getSlice(at: 0, length: length) ?? ByteBuffer(), needsKey: true)
      #expect(facts.messages == 1)
    }
    #expect(EntryFacts(try StoredEntry.make(messages: -3), needsKey: false).messages == 1)
    // A count that cannot be true must not use up every permit.
    #expect(EntryFacts(try StoredEntry.make(messages: Int(Int32.max)), needsKey: false).messages < 1_000)
  }
}

extension [UInt8] {
  fileprivate var withUnsafeKeyHash: UInt16 { withUnsafeBytes { Murmur3.keyHash($0) } }
}

import NIOCore
import PulsarWire
import Testing

@Suite("Batches")
struct BatchTests {
  @Test("give back their messages")
  func roundTrip() throws {
    var values = RandomValues(seed: 31)
    for _ in 0..<50 {
      var builder = BatchBuilder(capacity: 64)
      var expected: [(SingleMessageMetadata, ByteBuffer)] = []
      var size = 0
      for _ in 0..<values.int(1...20) {
        var metadata = values.singleMetadata()
        let payload = values.buffer()
        size += BatchBuilder.encodedSize(metadata: metadata, payload: payload)
        builder.append(metadata: metadata, payload: payload)
        metadata.payloadSize = Int32(payload.readableBytes)
        expected.append((metadata, payload))
      }
      #expect(builder.count == expected.count)
      #expect(builder.readableBytes == size)
      let batch = builder.finish()
      #expect(builder.count == 0)
      #expect(batch.readableBytes == size)
      var reader = BatchReader(payload: batch, count: expected.count)
      for (index, message) in expected.enumerated() {
        let read = try #require(try reader.next())
        #expect(read.index == index)
        #expect(read.metadata == message.0)
        #expect(read.payload == message.1)
      }
      #expect(try reader.next() == nil)
    }
  }

  @Test("that end early, or lie about sizes, are refused")
  func malformed() {
    let cases: [[UInt8]] = [
      [], [0, 0, 0], [0, 0, 0, 2, 0x18], [0xff, 0xff, 0xff, 0xff, 0x18, 0x00], [0, 0, 0, 0],
      [0, 0, 0, 2, 0x18, 0x05, 1, 2, 3], [0, 0, 0, 11, 0x18] + [UInt8](repeating: 0xff, count: 9) + [0x01],
    ]
    for bytes in cases {
      var reader = BatchReader(payload: ByteBuffer(bytes: bytes), count: 1)
      #expect(throws: PulsarWireError.self, "\(bytes)") { try reader.next() }
    }
  }
}

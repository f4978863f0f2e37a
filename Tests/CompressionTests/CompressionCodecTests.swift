import Compression
import NIOCore
import Testing

@Suite("Compression codecs")
struct CompressionCodecTests {
  static let samples: [[UInt8]] = [
    [], [42], Array("the quick brown fox jumps over the lazy dog".utf8),
    [UInt8](repeating: 7, count: 100_000), (0..<70_000).map { UInt8(truncatingIfNeeded: $0 &* 31 &+ $0 >> 7) },
  ]

  @Test("give back what they took", arguments: CompressionCodec.allCases, samples)
  func roundTrip(codec: CompressionCodec, sample: [UInt8]) throws {
    let packed = try codec.compress(ByteBuffer(bytes: sample))
    let unpacked = try codec.decompress(packed, uncompressedSize: sample.count, limit: 5 << 20)
    #expect(Array(unpacked.readableBytesView) == sample)
  }

  @Test("take any level", arguments: CompressionCodec.allCases, [Int.min, -1, 0, 1, 6, 19, 1000])
  func levels(codec: CompressionCodec, level: Int) throws {
    let input = ByteBuffer(bytes: Self.samples[4])
    let packed = try codec.compress(input, level: level)
    #expect(try codec.decompress(packed, uncompressedSize: input.readableBytes, limit: 1 << 20) == input)
  }

  @Test("start at the reader index")
  func offset() throws {
    var input = ByteBuffer(string: "skipped and then the text the text the text")
    input.moveReaderIndex(forwardBy: 12)
    for codec in CompressionCodec.allCases {
      var packed = ByteBuffer(string: "front")
      packed.writeImmutableBuffer(try codec.compress(input))
      packed.moveReaderIndex(forwardBy: 5)
      #expect(try codec.decompress(packed, uncompressedSize: input.readableBytes, limit: 100) == input)
    }
  }

  @Test("read what other implementations write")
  func golden() throws {
    // An LZ4 block of literals only: token 0xb0, eleven bytes.
    let lz4 = ByteBuffer(bytes: [0xb0] + Array("hello world".utf8))
    #expect(
      try CompressionCodec.lz4.decompress(lz4, uncompressedSize: 11, limit: 11) == ByteBuffer(string: "hello world"))
    // RFC 1950 header, a stored block (RFC 1951), Adler-32.
    let zlib = ByteBuffer(
      bytes: [0x78, 0x01, 0x01, 0x0b, 0x00, 0xf4, 0xff] + Array("hello world".utf8) + [0x1a, 0x0b, 0x04, 0x5d])
    #expect(
      try CompressionCodec.zlib.decompress(zlib, uncompressedSize: 11, limit: 11) == ByteBuffer(string: "hello world"))
    // RFC 8878: magic, single segment with a one-byte size, one raw last block.
    let zstd = ByteBuffer(bytes: [0x28, 0xb5, 0x2f, 0xfd, 0x20, 0x0b, 0x59, 0x00, 0x00] + Array("hello world".utf8))
    #expect(
      try CompressionCodec.zstd.decompress(zstd, uncompressedSize: 11, limit: 11) == ByteBuffer(string: "hello world"))
  }

  @Test("check the limit before they look at the data", arguments: CompressionCodec.allCases)
  func limit(codec: CompressionCodec) {
    for size in [101, Int.max, -1, Int.min] {
      #expect(throws: CompressionError.sizeBeyondLimit(size: size, limit: 100)) {
        try codec.decompress(ByteBuffer(bytes: [1, 2, 3]), uncompressedSize: size, limit: 100)
      }
    }
  }

  @Test("refuse a size that is not that of the data", arguments: CompressionCodec.allCases, [0, 999, 1001, 5000])
  func wrongSize(codec: CompressionCodec, stated: Int) throws {
    let packed = try codec.compress(ByteBuffer(repeating: 9, count: 1000))
    #expect(throws: CompressionError.self) {
      try codec.decompress(packed, uncompressedSize: stated, limit: 1 << 20)
    }
  }

  @Test("never crash on damaged data", arguments: [CompressionCodec.lz4, .zlib, .zstd])
  func damage(codec: CompressionCodec) throws {
    var generator = SystemRandomNumberGenerator()
    let original = Self.samples[2]
    let packed = Array(try codec.compress(ByteBuffer(bytes: original)).readableBytesView)
    for length in 0..<packed.count {
      #expect(throws: CompressionError.self) {
        try codec.decompress(
          ByteBuffer(bytes: packed[..<length]), uncompressedSize: original.count, limit: original.count)
      }
    }
    for _ in 0..<2000 {
      var bytes = packed
      for _ in 0..<Int.random(in: 1...4, using: &generator) {
        bytes[Int.random(in: 0..<bytes.count, using: &generator)] = UInt8.random(in: 0...255, using: &generator)
      }
      do {
        let output = try codec.decompress(
          ByteBuffer(bytes: bytes), uncompressedSize: original.count, limit: original.count)
        #expect(output.readableBytes == original.count)
      } catch {
        #expect(error is CompressionError)
      }
    }
  }
}

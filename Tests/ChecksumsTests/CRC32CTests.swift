import CChecksums
import Checksums
import NIOCore
import Testing

@Suite("CRC32C")
struct CRC32CTests {
  @Test("has the published values")
  func knownVectors() {
    #expect(CRC32C.checksum(Array("123456789".utf8)) == 0xe306_9283)
    #expect(CRC32C.checksum([UInt8]()) == 0)
    #expect(CRC32C.checksum(Array("a".utf8)) == 0xc1d0_4330)
    // RFC 3720, B.4
    #expect(CRC32C.checksum([UInt8](repeating: 0, count: 32)) == 0x8a91_36aa)
    #expect(CRC32C.checksum([UInt8](repeating: 0xff, count: 32)) == 0x62a8_ab43)
    #expect(CRC32C.checksum((0..<32).map { UInt8($0) }) == 0x46dd_794e)
    #expect(CRC32C.checksum((0..<32).reversed().map { UInt8($0) }) == 0x113f_db5c)
  }

  @Test("agrees with the bit-by-bit definition at every length around the borders of its loops")
  func lengths() {
    let bytes = randomBytes(3 * 8 * 512 + 600, seed: 1)
    let lengths = Array(0...400) + [1023, 1024, 1025, 12_287, 12_288, 12_289, 12_480, bytes.count]
    for length in lengths {
      let slice = Array(bytes[..<length])
      let expected = definition(slice)
      #expect(CRC32C.checksum(slice) == expected, "length \(length)")
      #expect(meridian_crc32c_software(0, slice, length) == expected, "software, length \(length)")
    }
  }

  @Test("does not depend on alignment")
  func alignment() {
    let bytes = randomBytes(5000, seed: 2)
    bytes.withUnsafeBytes { all in
      for start in 0..<16 {
        let slice = UnsafeRawBufferPointer(rebasing: all[start...])
        #expect(CRC32C.checksum(slice) == meridian_crc32c_software(0, slice.baseAddress, slice.count))
      }
    }
  }

  @Test("continues, combines and takes apart", arguments: 0..<200)
  func joining(seed: Int) {
    var generator = SplitMix(state: UInt64(seed) &+ 77)
    let whole = randomBytes(Int.random(in: 0...40_000, using: &generator), seed: UInt64(seed))
    let cut = Int.random(in: 0...whole.count, using: &generator)
    let a = CRC32C.checksum(Array(whole[..<cut]))
    let b = CRC32C.checksum(Array(whole[cut...]))
    let ab = CRC32C.checksum(whole)
    #expect(CRC32C.checksum(Array(whole[cut...]), extending: a) == ab)
    #expect(CRC32C.combine(a, b, lengthOfB: whole.count - cut) == ab)
    #expect(CRC32C.suffix(of: ab, prefix: a, lengthOfSuffix: whole.count - cut) == b)
  }

  @Test("combines across lengths that no buffer has")
  func longSuffix() {
    // Shifting by n and then by m is shifting by n + m, also where the length needs its upper bytes.
    for (n, m) in [(1 << 33, 12_345), (0x0123_4567_89ab, 1 << 40), (255, 256)] {
      let twice = CRC32C.combine(CRC32C.combine(0xdead_beef, 0, lengthOfB: n), 0, lengthOfB: m)
      #expect(CRC32C.combine(0xdead_beef, 0, lengthOfB: n + m) == twice)
    }
  }

  @Test("reads a ByteBuffer's readable bytes only")
  func byteBuffer() {
    var buffer = ByteBuffer(string: "xx123456789yy")
    buffer.moveReaderIndex(forwardBy: 2)
    buffer.moveWriterIndex(to: buffer.writerIndex - 2)
    #expect(CRC32C.checksum(buffer) == 0xe306_9283)
    #expect(!CRC32C.implementation.isEmpty)
  }
}

/// The polynomial division as the standard states it.
private func definition(_ bytes: [UInt8]) -> UInt32 {
  var crc = UInt32.max
  for byte in bytes {
    crc ^= UInt32(byte)
    for _ in 0..<8 { crc = crc & 1 == 0 ? crc >> 1 : crc >> 1 ^ 0x82f6_3b78 }
  }
  return ~crc
}

private func randomBytes(_ count: Int, seed: UInt64) -> [UInt8] {
  var generator = SplitMix(state: seed)
  return (0..<count).map { _ in UInt8(truncatingIfNeeded: generator.next()) }
}

private struct SplitMix: RandomNumberGenerator {
  var state: UInt64

  mutating func next() -> UInt64 {
    state &+= 0x9e37_79b9_7f4a_7c15
    var z = state
    z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
    z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
    return z ^ (z >> 31)
  }
}

import Testing

@testable import Broker

@Suite struct Murmur3Tests {
  @Test(arguments: [
    ("", 0), ("hello", 0x248b_fa47), ("hello, world", 0x149b_bb7f),
    ("The quick brown fox jumps over the lazy dog", 0x2e4f_f723),
  ])
  func knownValues(text: String, expected: UInt32) {
    var text = text
    #expect(text.withUTF8 { Murmur3.hash32(UnsafeRawBufferPointer($0)) } == expected)
  }

  @Test func everyTailLength() {
    let bytes: [UInt8] = [0xff, 0x01, 0x80, 0x7f, 0x10]
    let hashes = (0...5).map { count in bytes[..<count].withUnsafeBytes { Murmur3.hash32($0) } }
    #expect(Set(hashes).count == 6)
  }

  @Test func keyHashIsTheLowerHalfOfTheNonNegativeHash() {
    #expect(Murmur3.hash("hello") == 0x248b_fa47)
    #expect(Murmur3.keyHash("hello") == 0xfa47)
  }
}

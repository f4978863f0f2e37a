import BookieWire
import NIOCore
import Testing

/// The one exchange of v3 that a v2 client of BookKeeper with TLS makes, byte by byte.
@Suite("Bookie wire: START_TLS")
struct StartTLSTests {
  private static let request = "0000000b" + "0a06" + "080310091801" + "d20600"
  private static let answer = "0000000d" + "0a06" + "080310091801" + "1000" + "d20600"

  private func frame(_ hex: String) throws -> ByteBuffer {
    let digits = Array(hex.utf8)
    var bytes = ByteBuffer()
    for index in stride(from: 0, to: digits.count, by: 2) {
      bytes.writeInteger(UInt8(String(decoding: digits[index...index + 1], as: UTF8.self), radix: 16) ?? 0)
    }
    return try #require(try frames(bytes).first)
  }

  @Test("The request, and the answer that lets the handshake begin")
  func golden() throws {
    #expect(hex(BookieStartTLS.request(transactionID: 1).readableBytesView) == Self.request)
    #expect(hex(BookieStartTLS.response(.ok, transactionID: 1).readableBytesView) == Self.answer)
    #expect(try BookieStartTLS.transactionID(ofRequest: frame(Self.request)) == 1)
    #expect(try BookieStartTLS.code(ofResponse: frame(Self.answer)) == .ok)
    #expect(try BookieStartTLS.isVersion3(frame(Self.request)))
    #expect(!BookieStartTLS.isVersion3(try #require(try frames(encoded(BookieRequest.auth(.requestIDs))).first)))
  }

  @Test("Numbers of several bytes, a priority, and fields of other releases")
  func variations() throws {
    #expect(
      hex(BookieStartTLS.response(.badRequest, transactionID: 300).readableBytesView)
        == "0000000b" + "0a07" + "08031009" + "18ac02" + "1064")
    let request = "00000016" + "0a09" + "08031009" + "18ac02" + "2064" + "d20600" + "c20c060a01611200"
    #expect(throws: BookieWireError.self) { try BookieStartTLS.transactionID(ofRequest: frame(request)) }
    let whole = "00000016" + "0a09" + "08031009" + "18ac02" + "2064" + "d20600" + "c20c050a01611200"
    #expect(try BookieStartTLS.transactionID(ofRequest: frame(whole)) == 300)
  }

  @Test("Other requests of v3, and pieces of one, are refused")
  func others() throws {
    let read = "0000000b" + "0a06" + "080310011801" + "a20600"
    #expect(throws: BookieWireError.unknownOpcode(1)) { try BookieStartTLS.transactionID(ofRequest: frame(read)) }
    let whole = try frame(Self.request)
    for count in 0..<8 {
      let piece = try #require(whole.getSlice(at: whole.readerIndex, length: count))
      #expect(throws: BookieWireError.self) { try BookieStartTLS.transactionID(ofRequest: piece) }
      #expect(throws: BookieWireError.self) { try BookieStartTLS.code(ofResponse: piece) }
    }
  }
}

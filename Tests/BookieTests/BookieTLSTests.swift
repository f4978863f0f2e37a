import BookieWire
import NIOCore
import NIOPosix
import TestSupport
import Testing
import Transport

@testable import Bookie

/// The bookie's side of START_TLS, towards clients that keep to no rule.
@Suite("Bookie: START_TLS")
struct BookieTLSTests {
  private static let startTLS = "0000000b0a06080310091801d20600"
  private static let accepted = "0000000d0a060803100918011000d20600"
  private static let read = "000000140202000000000000000000020000000000000000"

  /// Runs `body` with a bookie that has a certificate, and one for clients that trust its authority.
  private static func withBookie(
    demandsCertificates: Bool,
    _ body: (Bookie, TLSConfiguration, (certificateFile: String, privateKeyFile: String)) async throws -> Void
  ) async throws {
    try await TemporaryDirectory.with { directory in
      let authority = try CertificateAuthority.loadOrCreate(directory: directory.path)
      let trust = "\(directory.path)/\(CertificateAuthority.certificateFileName)"
      let server = try authority.issueFiles(
        name: "bookie", directory: directory.path, commonName: "bookie", dnsNames: ["localhost"], days: 1)
      let client = try authority.issueFiles(name: "client", directory: directory.path, commonName: "client", days: 1)
      try await BookieHarness.with {
        $0.tlsCertificatePath = server.certificateFile
        $0.tlsKeyPath = server.privateKeyFile
        $0.tlsTrustPath = trust
        $0.tlsClientAuthentication = demandsCertificates
      } _: { harness in
        let bookie = try await harness.start()
        try await body(bookie, TLSConfiguration(trustRootsFile: trust, verification: .certificate), client)
        try await bookie.shutdown()
      }
    }
  }

  @Test("What comes in the clear behind START_TLS ends the connection, and nothing of it is done")
  func bytesBehind() async throws {
    try await Self.withBookie(demandsCertificates: false) { bookie, _, _ in
      let add = "0000004102010000\(BookieSocketTests.key)\(BookieSocketTests.entry)"
      // A whole request, and the beginning of one.
      for bytes in [add, "0000"] {
        let socket = try await RawSocket.connect(bookie.port)
        try await socket.send(Self.startTLS + bytes)
        try await socket.closed()
        // Not even an answer.
        await #expect(throws: BookieError.self) { _ = try await socket.nextFrame() }
      }
      let client = try await LocalClient.connect(bookie)
      #expect(try await client.read(1, 0).code == .noLedger)
      // What was asked before it is answered before it.
      let socket = try await RawSocket.connect(bookie.port)
      #expect(try await socket.exchange(Self.read) == "00000018020200000000000100000000000000020000000000000000")
      #expect(try await socket.exchange(Self.startTLS) == Self.accepted)
      try await socket.close()
    }
  }

  @Test("Where a certificate is demanded, adds and reads in the clear are refused")
  func inTheClear() async throws {
    try await Self.withBookie(demandsCertificates: true) { bookie, _, _ in
      let socket = try await RawSocket.connect(bookie.port)
      for request: BookieRequest in [
        BookieHarness.add(1, 0, ByteBuffer(string: "payload"), id: 1),
        .read(ReadRequest(requestID: 2, flags: [], ledgerID: 1, entryID: 0, masterKey: nil)),
        .read(ReadRequest(requestID: 3, flags: .fencing, ledgerID: 1, entryID: -1, masterKey: BookieHarness.key)),
        .batchRead(BatchReadRequest(requestID: 4, ledgerID: 1, startEntryID: 0, maxCount: 1, maxSize: 100)),
      ] {
        try await socket.send(Self.bytes(request))
        #expect(Self.code(try BookieResponse(decoding: try await socket.nextFrame())) == .unauthorized)
      }
      try await socket.close()
      #expect(bookie.ledgerIDs.isEmpty && bookie.statistics().adds == 0 && bookie.statistics().reads == 0)
    }
  }

  @Test("Where a certificate is demanded, a handshake without one fails, and with one requests are served")
  func handshakes() async throws {
    try await Self.withBookie(demandsCertificates: true) { bookie, trusting, files in
      var known = trusting
      known.certificateChainFile = files.certificateFile
      known.privateKeyFile = files.privateKeyFile
      let add = Self.bytes(BookieHarness.add(1, 0, ByteBuffer(string: "payload"), id: 1))

      let nameless = try await RawSocket.connect(bookie.port)
      #expect(try await nameless.exchange(Self.startTLS) == Self.accepted)
      try await nameless.encrypt(try TLSContext(trusting, role: .client))
      // It may be sent, or fail, before the refusal comes; it is never answered.
      try? await nameless.send(add)
      await #expect(throws: (any Error).self) { _ = try await nameless.nextFrame() }
      try await nameless.closed()
      #expect(bookie.ledgerIDs.isEmpty)

      let named = try await RawSocket.connect(bookie.port)
      #expect(try await named.exchange(Self.startTLS) == Self.accepted)
      try await named.encrypt(try TLSContext(known, role: .client))
      try await named.send(add)
      #expect(Self.code(try BookieResponse(decoding: try await named.nextFrame())) == .ok)
      try await named.close()
    }
  }

  private static func bytes(_ request: BookieRequest) -> ByteBuffer {
    var writer = BookieFrameWriter()
    var bytes = ByteBuffer()
    writer.append(request) { bytes.writeImmutableBuffer($0) }
    writer.finish { bytes.writeImmutableBuffer($0) }
    return bytes
  }

  private static func code(_ response: BookieResponse) -> BookieReturnCode? {
    switch response {
    case .add(let add): add.code
    case .read(let read): read.code
    case .batchRead(let read): read.code
    case .auth: nil
    }
  }
}

import Foundation
import NIOCore
import NIOPosix
import TestSupport
import Testing

@testable import Transport

@Suite struct TLSHandshakeTests {
  @Test(arguments: [TLSVersion.tlsv12, .tlsv13])
  func echoesInEitherVersion(_ version: TLSVersion) async throws {
    try await TLSTestBench.with { bench in
      let server = try await bench.server()
      var configuration = bench.clientConfiguration
      configuration.minimumVersion = version
      configuration.maximumVersion = version
      let client = try await bench.connect(server, configuration)
      try await client.echo("hello")
      #expect(client.peer.protocolVersion == version.description)
      #expect(client.peer.commonName == "server" && client.peer.isVerified)
      #expect(client.peer.dnsNames == ["localhost", "*.mesh.test"])
      #expect(client.peer.ipAddresses == ["127.0.0.1", "::1"])
      #expect(!client.peer.cipherSuite.isEmpty)
      try await client.channel.close().get()
      try await server.channel.close().get()
      #expect(client.collector.errors.isEmpty)
    }
  }

  @Test(arguments: ["localhost", "a.mesh.test", "127.0.0.1"])
  func verifiesNamesAndAddresses(_ hostname: String) async throws {
    try await TLSTestBench.with { bench in
      let server = try await bench.server()
      let client = try await bench.connect(server, hostname: hostname)
      try await client.echo("hello")
      try await client.channel.close().get()
      try await server.channel.close().get()
    }
  }

  @Test(arguments: ["elsewhere.test", "a.b.mesh.test", "127.0.0.2"])
  func refusesAWrongName(_ hostname: String) async throws {
    try await TLSTestBench.with { bench in
      let server = try await bench.server()
      let error = await #expect(throws: TLSError.self) { try await bench.connect(server, hostname: hostname) }
      #expect(
        error
          == .hostnameMismatch(expected: hostname, presented: ["localhost", "*.mesh.test", "127.0.0.1", "::1"]))
      // Without name verification the same server is accepted.
      var configuration = bench.clientConfiguration
      configuration.verification = .certificate
      let client = try await bench.connect(server, configuration, hostname: hostname)
      try await client.echo("hello")
      try await client.channel.close().get()
      try await server.channel.close().get()
    }
  }

  @Test func mutualAuthenticationTellsWhoIsThere() async throws {
    try await TLSTestBench.with { bench in
      var configuration = bench.serverConfiguration
      configuration.clientAuth = .required
      let server = try await bench.server(configuration)
      let client = try await bench.connect(server, bench.clientConfiguration(presenting: "client"))
      try await client.echo("hello")
      let peer = try #require(try await server.lastHandshake()?.get())
      #expect(peer.commonName == "client-7" && peer.dnsNames == ["client.test"] && peer.isVerified)
      try await client.channel.close().get()
      try await server.channel.close().get()
    }
  }

  @Test(arguments: [TLSVersion.tlsv12, .tlsv13])
  func clientsWithoutOrWithBadCertificatesAreRefused(_ version: TLSVersion) async throws {
    try await TLSTestBench.with { bench in
      var configuration = bench.serverConfiguration
      configuration.clientAuth = .required
      let server = try await bench.server(configuration)
      let other = try await bench.connect(server, bench.clientConfiguration(presenting: "client"))
      func refusal(_ client: TLSConfiguration) async throws -> TLSError? {
        var client = client
        client.maximumVersion = version
        server.handshakes.withLockedValue { $0 = [] }
        do {
          // With TLS 1.3 the client learns of the refusal after its side of the handshake.
          let connected = try await bench.connect(server, client)
          await eventually { connected.collector.isInactive }
          #expect(connected.collector.errors.first is TLSError)
        } catch let error as TLSError {
          guard case .refusedByPeer = error else { throw error }
        }
        if case .failure(let error) = await server.lastHandshake() { return error }
        return nil
      }
      #expect(try await refusal(bench.clientConfiguration) == .missingPeerCertificate)
      try bench.authority.issueFiles(
        name: "expired", directory: bench.directory.path, commonName: "expired", days: -1)
      let expired = try await refusal(bench.clientConfiguration(presenting: "expired"))
      #expect(expired?.description.contains("expired") == true)
      let foreigner = try CertificateAuthority(commonName: "Elsewhere")
      try foreigner.issueFiles(name: "foreign", directory: bench.directory.path, commonName: "foreign")
      guard case .certificateRejected = try await refusal(bench.clientConfiguration(presenting: "foreign")) else {
        Issue.record("A foreign certificate was accepted.")
        return
      }
      try await other.echo("still here")
      try await other.channel.close().get()
      try await server.channel.close().get()
    }
  }

  @Test func clientsRefuseForeignAndExpiredServers() async throws {
    try await TLSTestBench.with { bench in
      let foreigner = try CertificateAuthority(commonName: "Elsewhere")
      try foreigner.issueFiles(
        name: "foreign", directory: bench.directory.path, commonName: "foreign", dnsNames: ["localhost"])
      try bench.authority.issueFiles(
        name: "expired", directory: bench.directory.path, commonName: "expired", dnsNames: ["localhost"], days: 0)
      for (name, word) in [("foreign", "issuer"), ("expired", "expired")] {
        var configuration = bench.serverConfiguration
        configuration.certificateChainFile = bench.directory.file("\(name).crt")
        configuration.privateKeyFile = bench.directory.file("\(name).key")
        let server = try await bench.server(configuration)
        let error = await #expect(throws: TLSError.self) { try await bench.connect(server) }
        guard case .certificateRejected(let reason) = error else {
          Issue.record("\(String(describing: error))")
          return
        }
        #expect(reason.contains(word) && reason.contains(name))
        guard case .failure(.refusedByPeer) = await server.lastHandshake() else {
          Issue.record("The server does not know that it was refused.")
          return
        }
        var trusting = bench.clientConfiguration
        trusting.verification = .none
        let client = try await bench.connect(server, trusting, hostname: nil)
        #expect(!client.peer.isVerified)
        try await client.echo("hello")
        try await client.channel.close().get()
        try await server.channel.close().get()
      }
    }
  }

  @Test func versionsThatDoNotMeetAreRefused() async throws {
    try await TLSTestBench.with { bench in
      var configuration = bench.serverConfiguration
      configuration.minimumVersion = .tlsv13
      let server = try await bench.server(configuration)
      var old = bench.clientConfiguration
      old.maximumVersion = .tlsv12
      let error = await #expect(throws: TLSError.self) { try await bench.connect(server, old) }
      for side in [error, { if case .failure(let error) = $0 { error } else { nil } }(await server.lastHandshake())] {
        guard case .versionMismatch = side else {
          Issue.record("\(String(describing: side))")
          return
        }
      }
      try await server.channel.close().get()
    }
  }

  @Test func plaintextOnTheTLSPortIsRefusedAndOthersGoOn() async throws {
    try await TLSTestBench.with { bench in
      let server = try await bench.server()
      let other = try await bench.connect(server)
      server.handshakes.withLockedValue { $0 = [] }
      let collector = Collector()
      let plain = try await EventLoops.clientBootstrap(group: bench.group)
        .channelInitializer { $0.pipeline.addHandler(collector) }
        .connect(host: "127.0.0.1", port: server.port).get()
      try await plain.writeAndFlush(ByteBuffer(bytes: [0, 0, 0, 20, 0, 0, 0, 16, 8, 2])).get()
      await eventually { collector.isInactive }
      guard case .failure(let error) = await server.lastHandshake(), case .notTLS = error else {
        Issue.record("The server did not see the plaintext.")
        return
      }
      #expect(error.description.contains("00 00 00 14"))
      try await other.echo("still here")
      try await other.channel.close().get()
      try await server.channel.close().get()
    }
  }

  @Test func aTLSClientOnAPlaintextPortKnowsWhy() async throws {
    try await TLSTestBench.with { bench in
      let channel = try await EventLoops.serverBootstrap(group: bench.group)
        .childChannelInitializer { $0.eventLoop.makeSucceededVoidFuture() }
        .childChannelInitializer { $0.pipeline.addHandler(Greeter()) }
        .bind(host: "127.0.0.1", port: 0).get()
      let context = try TLSContext(bench.serverConfiguration, role: .server)
      let server = TestServer(channel: channel, context: context, handshakes: .init([]))
      let error = await #expect(throws: TLSError.self) { try await bench.connect(server) }
      guard case .notTLS = error else {
        Issue.record("\(String(describing: error))")
        return
      }
      try await channel.close().get()
    }
  }

  @Test func silentAndVanishingPeersAreGivenUp() async throws {
    try await TLSTestBench.with { bench in
      let server = try await bench.server(handshakeTimeout: .milliseconds(100))
      let silent = try await EventLoops.clientBootstrap(group: bench.group)
        .connect(host: "127.0.0.1", port: server.port).get()
      #expect(await server.lastHandshake() == .failure(.handshakeTimeout(milliseconds: 100)))
      try await silent.closeFuture.get()
      try await server.channel.close().get()
      let patient = try await bench.server()
      let vanishing = try await EventLoops.clientBootstrap(group: bench.group)
        .connect(host: "127.0.0.1", port: patient.port).get()
      // The beginning of a ClientHello.
      try await vanishing.writeAndFlush(ByteBuffer(bytes: [0x16, 3, 1, 2, 0, 1])).get()
      try await vanishing.close().get()
      #expect(await patient.lastHandshake() == .failure(.closedDuringHandshake))
      try await patient.channel.close().get()
    }
  }

  @Test func certificatesAreReloadedForNewConnections() async throws {
    try await TLSTestBench.with { bench in
      let server = try await bench.server()
      let before = try await bench.connect(server)
      #expect(before.peer.commonName == "server")
      #expect(try !server.context.reloadIfChanged())
      try bench.authority.issueFiles(
        name: "server", directory: bench.directory.path, commonName: "renewed", dnsNames: ["localhost"])
      #expect(try server.context.reloadIfChanged())
      #expect(try !server.context.reloadIfChanged())
      let after = try await bench.connect(server)
      #expect(after.peer.commonName == "renewed")
      // Files out of order are refused, and what was in use stays.
      try "nonsense".write(toFile: bench.directory.file("server.crt"), atomically: true, encoding: .utf8)
      #expect(throws: TLSError.self) { try server.context.reloadIfChanged() }
      let still = try await bench.connect(server)
      #expect(still.peer.commonName == "renewed")
      for client in [before, after, still] {
        try await client.echo("hello")
        try await client.channel.close().get()
      }
      try await server.channel.close().get()
    }
  }

  private final class Greeter: ChannelInboundHandler, Sendable {
    typealias InboundIn = ByteBuffer
    func channelActive(context: ChannelHandlerContext) {
      context.writeAndFlush(NIOAny(ByteBuffer(string: "220 plain text spoken here\r\n")), promise: nil)
    }
  }
}

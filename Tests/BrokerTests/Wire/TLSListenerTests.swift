import PulsarWire
import TestSupport
import Testing
import Transport

@testable import Broker

@Suite(.serialized) struct TLSListenerTests {
  @Test func clientsComeOverTLSAndAPlainOneHarmsNobody() async throws {
    try await TemporaryDirectory.with { directory in
      let authority = try CertificateAuthority.loadOrCreate(directory: directory.path)
      let files = try authority.issueFiles(
        name: "broker", directory: directory.path, commonName: "broker", dnsNames: ["localhost"],
        ipAddresses: ["127.0.0.1"], days: 1)
      let region = try await TestRegion.start(in: directory) {
        $0.brokerServicePortTLS = 0
        $0.tls = TLSConfiguration(
          certificateChainFile: files.certificateFile, privateKeyFile: files.privateKeyFile)
      }
      let port = try #require(region.broker.pulsarTLSPort)
      let context = try TLSContext(
        TLSConfiguration(trustRootsFile: directory.file(CertificateAuthority.certificateFileName)), role: .client)
      let client = try await WireClient.connect(port: port, tls: context)
      try await client.producer("t")
      let plain = try await WireClient.connect(port: port, handshake: false)
      try await plain.send(bytes: [0, 0, 0, 8, 0, 0, 0, 4, 8, 2, 0, 0])
      try await plain.closed()
      try await client.send(SendCommand(producerID: 1, sequenceID: 0), try WireClient.entry("m"))
      #expect(try await client.receipt().sequenceID == 0)
      var lookup = ProtoCommandLookupTopic()
      lookup.topic = "t"
      lookup.requestID = 1
      try await client.send(ProtoBaseCommand(lookup))
      let response = try await client.receive(.lookupResponse).lookupTopicResponse
      #expect(response.brokerServiceURLTls == "pulsar+ssl://127.0.0.1:\(port)")
      try await client.close()
      try await region.stop()
    }
  }
}

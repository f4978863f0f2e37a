import Foundation
import Ledgers
import Mesh
import TestSupport
import Testing
import Transport

@Suite struct BookkeeperClientSettingsTests {
  private static func decode(_ json: String) throws -> StandaloneConfiguration {
    try JSONDecoder().decode(StandaloneConfiguration.self, from: Data(json.utf8))
  }

  @Test func theyStandBesideTheOthersAndReachTheLedgerClient() throws {
    let configuration = try Self.decode(
      """
      {"clusterName": "us", "bookkeeperClientTimeoutInSeconds": 7, "bookkeeperEnableStickyReads": false,
       "bookkeeperClientReorderReadSequenceEnabled": false, "bookkeeperClientSpeculativeReadTimeoutInMillis": 20,
       "bookkeeperClientRegionawarePolicyEnabled": true, "bookkeeperClientQuarantineTimeInSeconds": 9,
       "bookkeeperClientAddEntryQuorumTimeoutInSeconds": 11, "bookkeeperClientMaxBytesPerBookie": 1000}
      """)
    try configuration.validate()
    var client = LedgerClientConfiguration()
    try configuration.bookkeeperClient.apply(to: &client)
    #expect(client.addEntryTimeout == .seconds(7) && client.readEntryTimeout == .seconds(7))
    #expect(!client.stickyReadsEnabled && !client.reorderReadSequenceEnabled)
    #expect(client.speculativeReadDelay == .milliseconds(20))
    #expect(client.bookieQuarantineTime == .seconds(9) && client.bookieErrorThresholdPerInterval == 100)
    #expect(client.addEntryQuorumTimeout == .seconds(11))
    #expect(client.maximumQueuedBytesPerBookie == 1_000)
    #expect(client.placement is RegionAwarePlacement)
    // As a process writes them for another one, they are read again.
    let again = try JSONDecoder().decode(StandaloneConfiguration.self, from: JSONEncoder().encode(configuration))
    #expect(again == configuration)
  }

  @Test func aBookieProcessTakesTheSettingsOfPlacementByBothNames() throws {
    var bookie = BookieProcessConfiguration()
    try bookie.set("bookkeeperClientMinNumRacksPerWriteQuorum", "3")
    try bookie.set("enforceMinNumRacksPerWriteQuorum", "true")
    try bookie.set("ensemblePlacementPolicy", "org.apache.bookkeeper.client.RegionAwareEnsemblePlacementPolicy")
    #expect(bookie.placement.bookkeeperClientMinNumRacksPerWriteQuorum == 3)
    #expect(bookie.placement.bookkeeperClientEnforceMinNumRacksPerWriteQuorum)
    #expect(bookie.placement.bookkeeperClientRegionawarePolicyEnabled)
    #expect(!bookie.placement.bookkeeperClientRackawarePolicyEnabled)
    #expect(throws: MeshError.self) { try bookie.set("ensemblePlacementPolicy", "org.example.Mine") }
  }

  @Test func placementFollowsTheSettings() throws {
    var client = LedgerClientConfiguration()
    try Self.decode("{}").bookkeeperClient.apply(to: &client)
    #expect(client.placement is RackAwarePlacement)
    #expect(client.addEntryQuorumTimeout == nil)
    try Self.decode(#"{"bookkeeperClientRackawarePolicyEnabled": false, "bookkeeperClientHealthCheckEnabled": false}"#)
      .bookkeeperClient.apply(to: &client)
    #expect(client.placement is RandomPlacement)
    #expect(client.bookieErrorThresholdPerInterval == 0)
  }

  @Test func bookiesAreReachedOverTLSWhenCertificatesAreNamed() throws {
    try TemporaryDirectory.with { directory in
      let authority = try CertificateAuthority()
      let trust = directory.file("ca.crt")
      try Data(authority.certificatePEM.utf8).write(to: URL(fileURLWithPath: trust))
      let own = try authority.issueFiles(name: "broker", directory: directory.path, commonName: "broker")
      var client = LedgerClientConfiguration()
      try Self.decode(#"{"bookkeeperTLSTrustCertsFilePath": "\#(trust)"}"#).bookkeeperClient.apply(to: &client)
      #expect(client.tls?.configuration.trustRootsFile == trust)
      #expect(client.tls?.configuration.certificateChainFile == nil)
      let mutual = """
        {"bookkeeperTLSTrustCertsFilePath": "\(trust)", "bookkeeperTLSClientAuthentication": true,
         "bookkeeperTLSCertificateFilePath": "\(own.certificateFile)",
         "bookkeeperTLSKeyFilePath": "\(own.privateKeyFile)"}
        """
      try Self.decode(mutual).validate()
      try Self.decode(mutual).bookkeeperClient.apply(to: &client)
      #expect(client.tls?.configuration.privateKeyFile == own.privateKeyFile)
      #expect(throws: MeshError.self) { try Self.decode(#"{"bookkeeperTLSClientAuthentication": true}"#).validate() }
      var bookie = BookieProcessConfiguration()
      bookie.metadataStoreURL = "etcd://127.0.0.1:2379"
      for (key, value) in [
        ("tlsProvider", "OpenSSL"), ("tlsKeyStoreType", "PEM"), ("tlsCertificatePath", own.certificateFile),
        ("tlsClientAuthentication", "true"),
      ] {
        try bookie.set(key, value)
      }
      #expect(throws: MeshError.self) { try bookie.validate() }
      try bookie.set("tlsKeyStore", own.privateKeyFile)
      try bookie.set("tlsTrustStore", trust)
      try bookie.validate()
      #expect(bookie.bookie.tlsClientAuthentication && bookie.bookie.tlsTrustPath == trust)
      #expect(throws: MeshError.self) { try bookie.set("tlsKeyStoreType", "JKS") }
    }
  }

  @Test(arguments: [
    ("bookkeeperClientTimeoutInSeconds", 0), ("bookkeeperClientMinNumRacksPerWriteQuorum", -1),
    ("bookkeeperClientSpeculativeReadTimeoutInMillis", -1), ("bookkeeperClientMaxBytesPerBookie", 0),
    ("bookkeeperClientTimeoutInSeconds", Int(Int32.max) + 1),
  ])
  func whatMakesNoSenseIsRefusedByName(_ key: String, _ value: Int) throws {
    let configuration = try Self.decode(#"{"\#(key)": \#(value)}"#)
    #expect { try configuration.validate() } throws: { "\($0)".contains(key) }
  }
}

import Broker
import Foundation
import MetadataStore

/// One region in one process: what `meridian standalone` takes from flags, or from the file that `mesh up` writes.
public struct StandaloneConfiguration: Codable, Sendable, Equatable {
  /// The region's name: Pulsar's cluster name.
  public var clusterName = "standalone"
  /// Directory of all data.
  public var dataDirectory = "data"
  /// Address on which every port listens.
  public var bindAddress = "0.0.0.0"
  /// Address that clients are told to connect to.
  public var advertisedAddress = "localhost"
  /// Port of the Pulsar binary protocol; 0 takes a free one.
  public var brokerServicePort = 6650
  /// Port of the Pulsar binary protocol over TLS; 0 takes a free one.
  public var brokerServicePortTls = 6651
  /// Port of the admin REST API; 0 takes a free one.
  public var webServicePort = 8080
  /// Certificate chain of the TLS port (PEM); without one, a self-made authority below the data directory issues it.
  public var tlsCertificateFilePath: String?
  /// Its private key (PEM).
  public var tlsKeyFilePath: String?
  /// Certificates that clients and remote regions are checked against (PEM).
  public var tlsTrustCertsFilePath: String?
  /// Refuse TLS clients without a certificate.
  public var tlsRequireTrustedClientCertOnConnect = false
  /// Bookies in the process.
  public var numberOfBookies = 3
  /// Bookies of a ledger.
  public var managedLedgerDefaultEnsembleSize = 3
  /// Copies of an entry.
  public var managedLedgerDefaultWriteQuorum = 2
  /// Copies that are synced before a message is acknowledged.
  public var managedLedgerDefaultAckQuorum = 2
  /// Event loops of the broker; 0 is one for each core.
  public var numIOThreads = 0
  /// Where a new link begins in topics that have data already, unless the namespace says so: `earliest` or `latest`.
  public var replicationStartAt = "earliest"
  /// Demand of Apache Pulsar clusters that replicate into this region a TLS connection with a certificate that names
  /// them; Meridian regions always have to show theirs.
  public var replicationRequiresClientCertificate = true
  /// Drop duplicates of producers wherever no policy says otherwise.
  public var brokerDeduplicationEnabled = false
  /// How the broker uses bookies. In a file its settings stand beside the others.
  public var bookkeeperClient = BookkeeperClientSettings()
  /// Least severe messages to log: trace, debug, info, notice, warning, error.
  public var logLevel = "info"
  /// Address of a metadata store that several processes share, for `meridian broker`; nil: the embedded one.
  public var metadataStoreUrl: String?
  /// Certificates that the metadata store's members are checked against (PEM); nil: the system's.
  public var metadataStoreTlsTrustCertsFilePath: String?
  /// The certificate chain shown to the metadata store (PEM).
  public var metadataStoreTlsCertificateFilePath: String?
  /// Its private key (PEM).
  public var metadataStoreTlsKeyFilePath: String?

  /// The defaults of `meridian standalone`.
  public init() {}

  /// Decodes a configuration; what is absent has its default, what is unknown is refused.
  public init(from decoder: any Decoder) throws {
    self.init()
    let values = try decoder.container(keyedBy: CodingKeys.self)
    let known = Set(CodingKeys.allCases.map(\.rawValue)).union(
      BookkeeperClientSettings.CodingKeys.allCases.map(\.rawValue))
    let given = try decoder.container(keyedBy: AnyKey.self).allKeys.map(\.stringValue)
    if let unknown = given.first(where: { !known.contains($0) }) {
      throw MeshError(
        "unknown key `\(unknown)` in the configuration; known are \(known.sorted().joined(separator: ", "))")
    }
    func read<Value: Decodable>(_ key: CodingKeys, _ value: inout Value) throws {
      if let found = try values.decodeIfPresent(Value.self, forKey: key) { value = found }
    }
    try read(.clusterName, &clusterName)
    try read(.dataDirectory, &dataDirectory)
    try read(.bindAddress, &bindAddress)
    try read(.advertisedAddress, &advertisedAddress)
    try read(.brokerServicePort, &brokerServicePort)
    try read(.brokerServicePortTls, &brokerServicePortTls)
    try read(.webServicePort, &webServicePort)
    tlsCertificateFilePath = try values.decodeIfPresent(String.self, forKey: .tlsCertificateFilePath)
    tlsKeyFilePath = try values.decodeIfPresent(String.self, forKey: .tlsKeyFilePath)
    tlsTrustCertsFilePath = try values.decodeIfPresent(String.self, forKey: .tlsTrustCertsFilePath)
    try read(.tlsRequireTrustedClientCertOnConnect, &tlsRequireTrustedClientCertOnConnect)
    try read(.numberOfBookies, &numberOfBookies)
    try read(.managedLedgerDefaultEnsembleSize, &managedLedgerDefaultEnsembleSize)
    try read(.managedLedgerDefaultWriteQuorum, &managedLedgerDefaultWriteQuorum)
    try read(.managedLedgerDefaultAckQuorum, &managedLedgerDefaultAckQuorum)
    try read(.numIOThreads, &numIOThreads)
    try read(.replicationStartAt, &replicationStartAt)
    try read(.replicationRequiresClientCertificate, &replicationRequiresClientCertificate)
    try read(.brokerDeduplicationEnabled, &brokerDeduplicationEnabled)
    try read(.logLevel, &logLevel)
    // A person writes them beside the others; a process writes them as they are here.
    bookkeeperClient =
      try values.decodeIfPresent(BookkeeperClientSettings.self, forKey: .bookkeeperClient)
      ?? BookkeeperClientSettings(from: decoder)
    metadataStoreUrl = try values.decodeIfPresent(String.self, forKey: .metadataStoreUrl)
    metadataStoreTlsTrustCertsFilePath = try values.decodeIfPresent(
      String.self, forKey: .metadataStoreTlsTrustCertsFilePath)
    metadataStoreTlsCertificateFilePath = try values.decodeIfPresent(
      String.self, forKey: .metadataStoreTlsCertificateFilePath)
    metadataStoreTlsKeyFilePath = try values.decodeIfPresent(String.self, forKey: .metadataStoreTlsKeyFilePath)
  }

  enum CodingKeys: String, CodingKey, CaseIterable {
    case clusterName, dataDirectory, bindAddress, advertisedAddress, brokerServicePort, brokerServicePortTls
    case webServicePort, tlsCertificateFilePath, tlsKeyFilePath, tlsTrustCertsFilePath
    case tlsRequireTrustedClientCertOnConnect, numberOfBookies, managedLedgerDefaultEnsembleSize
    case managedLedgerDefaultWriteQuorum, managedLedgerDefaultAckQuorum, numIOThreads, replicationStartAt
    case replicationRequiresClientCertificate, brokerDeduplicationEnabled, logLevel, bookkeeperClient
    case metadataStoreUrl, metadataStoreTlsTrustCertsFilePath, metadataStoreTlsCertificateFilePath
    case metadataStoreTlsKeyFilePath
  }

  private struct AnyKey: CodingKey {
    var stringValue: String
    var intValue: Int? { nil }

    init?(stringValue: String) {
      self.stringValue = stringValue
    }

    init?(intValue: Int) { nil }
  }

  /// Reads a configuration file (JSON).
  public static func load(_ path: String) throws -> StandaloneConfiguration {
    guard let bytes = FileManager.default.contents(atPath: path) else {
      throw MeshError("cannot read the configuration file \(path)")
    }
    do {
      return try JSONDecoder().decode(StandaloneConfiguration.self, from: bytes)
    } catch let error as MeshError {
      throw MeshError("\(path): \(error)")
    } catch let error as DecodingError {
      throw MeshError("\(path) is not a valid configuration: \(PolicyJSON.sentence(for: error))")
    } catch {
      throw MeshError("\(path) is not a valid configuration: \(error)")
    }
  }

  /// Checks what the types cannot.
  public func validate() throws {
    guard managedLedgerDefaultEnsembleSize <= numberOfBookies else {
      throw MeshError(
        "an ensemble of \(managedLedgerDefaultEnsembleSize) needs as many bookies, and there are \(numberOfBookies)")
    }
    guard metadataStoreUrl == nil else {
      throw MeshError("`meridian standalone` keeps its own metadata; metadataStoreUrl is for `meridian broker`")
    }
    try validateBroker()
  }

  /// How connections to the metadata store are encrypted; nil: as its address says.
  var metadataTLS: EtcdConfiguration.TLS? {
    var tls = EtcdConfiguration.TLS()
    tls.trustCertsFilePath = metadataStoreTlsTrustCertsFilePath
    tls.certificateFilePath = metadataStoreTlsCertificateFilePath
    tls.keyFilePath = metadataStoreTlsKeyFilePath
    return tls == EtcdConfiguration.TLS() ? nil : tls
  }

  /// As `validate`, for a broker whose bookies are elsewhere.
  public func validateBroker() throws {
    guard managedLedgerDefaultAckQuorum >= 1, managedLedgerDefaultAckQuorum <= managedLedgerDefaultWriteQuorum,
      managedLedgerDefaultWriteQuorum <= managedLedgerDefaultEnsembleSize
    else {
      throw MeshError("quorums must be 1 <= ack quorum <= write quorum <= ensemble size")
    }
    // It is part of metadata keys, file names and the names of replicators' cursors.
    guard NamespaceName.isValidPart(clusterName) else {
      throw MeshError("`\(clusterName)` is no name for a region; use letters, digits and -=:._")
    }
    guard ["earliest", "latest"].contains(replicationStartAt) else {
      throw MeshError("replicationStartAt must be earliest or latest, not `\(replicationStartAt)`")
    }
    try bookkeeperClient.validate()
    for port in [brokerServicePort, brokerServicePortTls, webServicePort] where !(0...65_535).contains(port) {
      throw MeshError("port \(port) is not a port; use 0 to 65535")
    }
    guard (tlsCertificateFilePath == nil) == (tlsKeyFilePath == nil) else {
      throw MeshError("give both tlsCertificateFilePath and tlsKeyFilePath, or neither")
    }
    guard (metadataStoreTlsCertificateFilePath == nil) == (metadataStoreTlsKeyFilePath == nil) else {
      throw MeshError("give both metadataStoreTlsCertificateFilePath and metadataStoreTlsKeyFilePath, or neither")
    }
  }
}

/// Where a region is reached: Pulsar's `ClusterData`, with its exact JSON names. Absent fields are omitted on output.
public struct ClusterData: Codable, Hashable, Sendable {
  /// Base URL of the admin REST API, `http://host:port`.
  public var serviceUrl: String?
  /// The same over TLS, `https://host:port`.
  public var serviceUrlTls: String?
  /// Binary protocol, `pulsar://host:port`.
  public var brokerServiceUrl: String?
  /// Binary protocol over TLS, `pulsar+ssl://host:port`.
  public var brokerServiceUrlTls: String?
  /// A proxy in front of the brokers.
  public var proxyServiceUrl: String?
  /// How to speak to the proxy (`SNI`).
  public var proxyProtocol: String?
  /// Authentication plugin that clients of this cluster use.
  public var authenticationPlugin: String?
  /// Parameters of the plugin.
  public var authenticationParameters: String?
  /// Clusters that share this cluster's namespaces.
  public var peerClusterNames: [String]?
  /// Whether links to this cluster use TLS.
  @Defaulted public var brokerClientTlsEnabled: Bool = false
  /// Whether an untrusted certificate is accepted.
  @Defaulted public var tlsAllowInsecureConnection: Bool = false
  /// Whether TLS material comes from key stores.
  @Defaulted public var brokerClientTlsEnabledWithKeyStore: Bool = false
  /// Type of the trust store.
  public var brokerClientTlsTrustStoreType: String?
  /// Path of the trust store.
  public var brokerClientTlsTrustStore: String?
  /// Password of the trust store.
  public var brokerClientTlsTrustStorePassword: String?
  /// Type of the key store.
  public var brokerClientTlsKeyStoreType: String?
  /// Path of the key store.
  public var brokerClientTlsKeyStore: String?
  /// Password of the key store.
  public var brokerClientTlsKeyStorePassword: String?
  /// Path of the PEM file with the trusted roots.
  public var brokerClientTrustCertsFilePath: String?
  /// Path of the PEM private key shown to this cluster.
  public var brokerClientKeyFilePath: String?
  /// Path of the PEM certificate chain shown to this cluster.
  public var brokerClientCertificateFilePath: String?
  /// Stored for Pulsar's tools.
  public var brokerClientSslFactoryPlugin: String?
  /// Stored for Pulsar's tools.
  public var brokerClientSslFactoryPluginParams: String?
  /// Advertised listener that links ask for.
  public var listenerName: String?
  /// Whether the cluster was migrated elsewhere.
  public var migrated: Bool?
  /// Where clients of a migrated cluster go.
  public var migratedClusterUrl: ClusterUrl?

  /// An empty record.
  public init() {}

  /// A record with the four addresses of a cluster.
  public init(
    serviceUrl: String?, serviceUrlTls: String? = nil, brokerServiceUrl: String?, brokerServiceUrlTls: String? = nil
  ) {
    self.serviceUrl = serviceUrl
    self.serviceUrlTls = serviceUrlTls
    self.brokerServiceUrl = brokerServiceUrl
    self.brokerServiceUrlTls = brokerServiceUrlTls
  }

  /// Checks the schemes of the addresses.
  func validate() throws(PolicyError) {
    try check(serviceUrl, "serviceUrl", schemes: ["http"])
    try check(serviceUrlTls, "serviceUrlTls", schemes: ["https"])
    try check(brokerServiceUrl, "brokerServiceUrl", schemes: ["pulsar"])
    try check(brokerServiceUrlTls, "brokerServiceUrlTls", schemes: ["pulsar+ssl"])
    try check(proxyServiceUrl, "proxyServiceUrl", schemes: ["pulsar", "pulsar+ssl"])
  }

  private func check(_ url: String?, _ field: String, schemes: [String]) throws(PolicyError) {
    guard let url, !url.isEmpty else { return }
    guard schemes.contains(where: { url.hasPrefix($0 + "://") && url.utf8.count > $0.utf8.count + 3 }) else {
      let expected = schemes.map { $0 + "://host:port" }.joined(separator: " or ")
      throw PolicyError(.badRequest, "Illegal \(field) \"\(url)\": expected \(expected).")
    }
  }
}

/// The addresses of the cluster that took over from a migrated one.
public struct ClusterUrl: Codable, Hashable, Sendable {
  /// Admin REST API.
  public var serviceUrl: String?
  /// Admin REST API over TLS.
  public var serviceUrlTls: String?
  /// Binary protocol.
  public var brokerServiceUrl: String?
  /// Binary protocol over TLS.
  public var brokerServiceUrlTls: String?

  /// An empty record.
  public init() {}
}

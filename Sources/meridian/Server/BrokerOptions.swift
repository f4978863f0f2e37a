import ArgumentParser
import Mesh

/// What every process with a broker takes.
struct BrokerOptions: ParsableArguments {
  @Option(help: ArgumentHelp("Configuration file (JSON); flags go before it.", valueName: "file")) var config: String?
  @Option(help: ArgumentHelp("Directory of all data (default ./data).", valueName: "dir")) var data: String?
  @Option(help: "Name of the region (default standalone).") var cluster: String?
  @Option(name: .customLong("pulsar-port"), help: "Port for Pulsar clients (default 6650).") var pulsarPort: Int?
  @Option(name: .customLong("pulsar-tls-port"), help: "Port for Pulsar clients over TLS (default 6651).")
  var pulsarTLSPort: Int?
  @Option(name: .customLong("admin-port"), help: "Port of the admin API (default 8080).") var adminPort: Int?
  @Option(name: .customLong("bind-address"), help: "Address to listen on (default 0.0.0.0).") var bindAddress: String?
  @Option(name: .customLong("advertised-address"), help: "Address that clients are told (default localhost).")
  var advertisedAddress: String?
  @Option(name: .customLong("tls-cert"), help: "Certificate chain of the TLS port (PEM).") var certificate: String?
  @Option(name: .customLong("tls-key"), help: "Private key of the TLS port (PEM).") var privateKey: String?
  @Option(name: .customLong("tls-trust"), help: "Certificates that clients are checked against (PEM).")
  var trust: String?
  @Option(name: .customLong("log-level"), help: "trace, debug, info, notice, warning or error.") var logLevel: String?

  /// The configuration file, and over it the flags.
  func settings() throws -> StandaloneConfiguration {
    var settings = try config.map { try StandaloneConfiguration.load($0) } ?? StandaloneConfiguration()
    if let data { settings.dataDirectory = data }
    if let cluster { settings.clusterName = cluster }
    if let pulsarPort { settings.brokerServicePort = pulsarPort }
    if let pulsarTLSPort { settings.brokerServicePortTls = pulsarTLSPort }
    if let adminPort { settings.webServicePort = adminPort }
    if let bindAddress { settings.bindAddress = bindAddress }
    if let advertisedAddress { settings.advertisedAddress = advertisedAddress }
    if let certificate { settings.tlsCertificateFilePath = certificate }
    if let privateKey { settings.tlsKeyFilePath = privateKey }
    if let trust { settings.tlsTrustCertsFilePath = trust }
    if let logLevel { settings.logLevel = logLevel }
    return settings
  }
}

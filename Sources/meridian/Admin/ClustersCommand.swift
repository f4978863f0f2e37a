import ArgumentParser

/// `meridian clusters`: the regions that this one knows.
struct ClustersCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "clusters", abstract: "Manage the regions that a region knows.",
    discussion: """
      Example: make region `us` know region `eu`, over TLS with the mesh's certificates:

        meridian clusters create eu --broker-url-secure pulsar+ssl://eu.example.com:6651 \\
          --url http://eu.example.com:8080 --tls-enable --tls-trust-certs-filepath certs/ca.crt \\
          --tls-certs-filepath certs/us.crt --tls-key-filepath certs/us.key
      """,
    subcommands: [List.self, Get.self, Create.self, Update.self, Delete.self])

  struct List: AdminList {
    static let configuration = CommandConfiguration.verb("list", "List the regions.", example: "clusters list")
    @OptionGroup var target: RegionTarget

    var title: String { "CLUSTER" }
    var call: AdminCall { .get("clusters") }
  }

  struct Get: AdminShow {
    static let configuration = CommandConfiguration.verb("get", "Show where a region is.", example: "clusters get eu")
    @OptionGroup var target: ClusterTarget

    var call: AdminCall { .get(target.path) }
  }

  struct Create: AdminChange {
    static let configuration = CommandConfiguration.verb(
      "create", "Make a region known.",
      example: "clusters create eu --url http://eu:8080 --broker-url pulsar://eu:6650")
    @OptionGroup var target: ClusterTarget
    @OptionGroup var data: ClusterDataOptions

    func call() -> AdminCall { .put(target.path, data.json) }
  }

  struct Update: AdminVerb {
    static let configuration = CommandConfiguration.verb(
      "update", "Change where a region is.", example: "clusters update eu --broker-url pulsar://eu2:6650")
    @OptionGroup var target: ClusterTarget
    @OptionGroup var data: ClusterDataOptions

    func run(_ session: AdminSession) async throws {
      let known = try await session.send(.get(target.path)).object
      try await session.send(.post(target.path, .object(known.merging(data.json.object) { _, new in new })))
    }
  }

  struct Delete: AdminChange {
    static let configuration = CommandConfiguration.verb(
      "delete", "Forget a region; refused while a tenant or namespace uses it.", example: "clusters delete eu")
    @OptionGroup var target: ClusterTarget

    func call() -> AdminCall { .delete(target.path) }
  }
}

/// Where a region is and how to reach it: the flags of pulsar-admin.
struct ClusterDataOptions: ParsableArguments {
  @Option(name: .customLong("url"), help: "Admin address (http).") var url: String?
  @Option(name: .customLong("url-secure"), help: "Admin address (https).") var urlSecure: String?
  @Option(name: .customLong("broker-url"), help: "Broker address (pulsar).") var brokerURL: String?
  @Option(name: .customLong("broker-url-secure"), help: "Broker address (pulsar+ssl).") var brokerURLSecure: String?
  @Option(name: .customLong("proxy-url"), help: "Proxy address.") var proxyURL: String?
  @Option(name: .customLong("proxy-protocol"), help: "Proxy protocol (SNI).") var proxyProtocol: String?
  @Option(name: .customLong("auth-plugin"), help: "Authentication plugin.") var authPlugin: String?
  @Option(name: .customLong("auth-parameters"), help: "Authentication parameters.") var authParameters: String?
  @Option(name: .customLong("listener-name"), help: "Advertised listener to use.") var listenerName: String?
  @Flag(name: .customLong("tls-enable"), help: "Connect over TLS.") var tlsEnable = false
  @Flag(name: .customLong("tls-allow-insecure"), help: "Accept any certificate.") var tlsAllowInsecure = false
  @Option(name: .customLong("tls-trust-certs-filepath"), help: "Certificates to trust (PEM).") var trustCerts: String?
  @Option(name: .customLong("tls-certs-filepath"), help: "Own certificate chain (PEM).") var certificate: String?
  @Option(name: .customLong("tls-key-filepath"), help: "Own private key (PEM).") var privateKey: String?

  var json: JSONValue {
    var fields: [String: JSONValue] = [:]
    let texts: [(String, String?)] = [
      ("serviceUrl", url), ("serviceUrlTls", urlSecure), ("brokerServiceUrl", brokerURL),
      ("brokerServiceUrlTls", brokerURLSecure), ("proxyServiceUrl", proxyURL), ("proxyProtocol", proxyProtocol),
      ("authenticationPlugin", authPlugin), ("authenticationParameters", authParameters),
      ("listenerName", listenerName), ("brokerClientTrustCertsFilePath", trustCerts),
      ("brokerClientCertificateFilePath", certificate), ("brokerClientKeyFilePath", privateKey),
    ]
    for (key, value) in texts {
      if let value { fields[key] = .string(value) }
    }
    if tlsEnable { fields["brokerClientTlsEnabled"] = .bool(true) }
    if tlsAllowInsecure { fields["tlsAllowInsecureConnection"] = .bool(true) }
    return .object(fields)
  }
}

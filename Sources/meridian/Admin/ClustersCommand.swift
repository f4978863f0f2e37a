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

  struct List: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "List the regions.", discussion: "Example: meridian clusters list")
    @OptionGroup var options: AdminOptions

    func run() async throws {
      try await options.withSession { try await $0.printNames("clusters", json: options.json, title: "CLUSTER") }
    }
  }

  struct Get: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Show where a region is.", discussion: "Example: meridian clusters get eu")
    @OptionGroup var options: AdminOptions
    @Argument(help: "Name of the region.") var cluster: String

    func run() async throws {
      try await options.withSession {
        try await $0.printObject("clusters/\(AdminSession.escape(cluster))", json: options.json)
      }
    }
  }

  struct Create: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Make a region known.",
      discussion: "Example: meridian clusters create eu --url http://eu:8080 --broker-url pulsar://eu:6650")
    @OptionGroup var options: AdminOptions
    @OptionGroup var data: ClusterDataOptions
    @Argument(help: "Name of the region.") var cluster: String

    func run() async throws {
      try await options.withSession {
        try await $0.send(.put, "clusters/\(AdminSession.escape(cluster))", body: data.json)
      }
    }
  }

  struct Update: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Change where a region is.",
      discussion: "Example: meridian clusters update eu --broker-url pulsar://eu2:6650")
    @OptionGroup var options: AdminOptions
    @OptionGroup var data: ClusterDataOptions
    @Argument(help: "Name of the region.") var cluster: String

    func run() async throws {
      try await options.withSession {
        let path = "clusters/\(AdminSession.escape(cluster))"
        let known = try await $0.get(path).object
        try await $0.send(.post, path, body: .object(known.merging(data.json.object) { _, new in new }))
      }
    }
  }

  struct Delete: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Forget a region; refused while a tenant or namespace uses it.",
      discussion: "Example: meridian clusters delete eu")
    @OptionGroup var options: AdminOptions
    @Argument(help: "Name of the region.") var cluster: String

    func run() async throws {
      try await options.withSession { try await $0.send(.delete, "clusters/\(AdminSession.escape(cluster))") }
    }
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

import Transport

/// How an admin server listens and what it says about its region.
public struct AdminServerConfiguration: Sendable {
  /// Address to listen on.
  public var host = "127.0.0.1"
  /// Port; 0: any free one (`webServicePort`).
  public var port = 8080
  /// Port for TLS; nil: none; 0: any free one (`webServicePortTls`).
  public var tlsPort: Int?
  /// Certificates for the TLS port.
  public var tls: TLSConfiguration?
  /// Largest body of a request, in bytes; beyond it the answer is 413.
  public var maximumBodySize = 2 << 20
  /// Host and port of this broker as other processes reach its admin API, for `/brokers`; nil: host and port of the server.
  public var brokerID: String?
  /// Which life of the region this is.
  public var incarnation: UInt64 = 1
  /// The version told at `/brokers/version`.
  public var version = "0.1.0"
  /// Settings told at `/brokers/configuration/runtime`.
  public var runtimeConfiguration: [String: String] = [:]

  /// The defaults.
  public init() {}
}

import Bookie
import Ledgers
import MetadataStore

/// What `meridian bookie run` takes from flags and from its configuration file. Names of settings are BookKeeper's where they
/// mean the same.
public struct BookieProcessConfiguration: Sendable {
  /// Address of the metadata store, such as `etcd://10.0.0.1:2379` (`metadataStoreUrl`, `metadataServiceUri`).
  public var metadataStoreURL = ""
  /// How connections to it are encrypted; nil: as the address says.
  public var metadataTLS: EtcdConfiguration.TLS?
  /// The bookie.
  public var bookie: BookieConfiguration
  /// Whether the process audits and repairs ledgers, too (`autoRecoveryDaemonEnabled`).
  public var autoRecoveryDaemonEnabled = true
  /// How it does.
  public var autoRecovery = AutoRecoveryConfiguration()
  /// Where repairs put copies: to be the same as the brokers' settings, whose names are taken besides BookKeeper's.
  public var placement = BookkeeperClientSettings()
  /// Address of the HTTP port (`httpServerHost`).
  public var httpServerHost = "127.0.0.1"
  /// Port for health, metrics and administration; 0 takes a free one; nil: none (`httpServerEnabled`, `httpServerPort`).
  public var httpServerPort: Int? = 8000
  /// Event loops; 0 is one for each core (`numIOThreads`).
  public var numIOThreads = 0
  /// Least severe messages to log.
  public var logLevel = "info"

  /// A bookie with its data below ./data on BookKeeper's port.
  public init() {
    bookie = BookieConfiguration(bookieID: "", port: 3181, directory: "data")
  }

  /// Reads the configuration file at `path`; what is absent has its default, what is unknown is refused.
  public static func load(_ path: String) throws -> BookieProcessConfiguration {
    var configuration = BookieProcessConfiguration()
    for (key, value) in try SettingsFile.load(path).sorted(by: { $0.key < $1.key }) {
      do {
        try configuration.set(key, value)
      } catch let error as MeshError {
        throw MeshError("\(path): \(error)")
      }
    }
    return configuration
  }

  /// Sets one setting by its name in configuration files.
  public mutating func set(_ key: String, _ value: String) throws {
    guard let setting = Self.settings[key] else {
      let known = Self.settings.keys.sorted().joined(separator: ", ")
      throw MeshError("unknown key `\(key)` in the configuration; known are \(known)")
    }
    guard setting(&self, value) else { throw MeshError("`\(value)` is no value for \(key)") }
  }

  /// Checks what the types cannot, and names the bookie by its address if it has no name.
  public mutating func validate() throws {
    guard !metadataStoreURL.isEmpty else {
      throw MeshError("a bookie needs the address of the metadata store; give --metadata-store-url etcd://host:port")
    }
    guard metadataStoreURL.contains("etcd:") else {
      throw MeshError(
        "`\(metadataStoreURL)` is no store that several processes can share; use etcd://host:port[,host:port]")
    }
    if bookie.bookieID.isEmpty {
      guard bookie.port != 0 else { throw MeshError("a bookie on any free port needs a name; give --bookie-id") }
      bookie.bookieID = "\(bookie.host):\(bookie.port)"
    }
    for port in [bookie.port, httpServerPort ?? 0] where !(0...65_535).contains(port) {
      throw MeshError("port \(port) is not a port; use 0 to 65535")
    }
    guard (bookie.tlsCertificatePath == nil) == (bookie.tlsKeyPath == nil) else {
      throw MeshError("give both tlsCertificatePath and tlsKeyStore (the key of the certificate), or neither")
    }
    guard !bookie.tlsClientAuthentication || (bookie.tlsCertificatePath != nil && bookie.tlsTrustPath != nil) else {
      throw MeshError("tlsClientAuthentication needs tlsCertificatePath, tlsKeyStore and tlsTrustStore")
    }
    try placement.validate()
    guard (metadataTLS?.certificateFilePath == nil) == (metadataTLS?.keyFilePath == nil) else {
      throw MeshError("give both metadataStoreTlsCertificateFilePath and metadataStoreTlsKeyFilePath, or neither")
    }
    let shares = [bookie.diskUsageWarnThreshold, bookie.diskUsageThreshold, bookie.diskUsageHardThreshold]
    guard shares == shares.sorted() else {
      throw MeshError("diskUsageWarnThreshold, diskUsageThreshold and diskUsageHardThreshold must rise in this order")
    }
    guard bookie.diskUsageLowWaterMark <= bookie.diskUsageThreshold else {
      throw MeshError("diskUsageLwmThreshold must not be above diskUsageThreshold")
    }
  }
}

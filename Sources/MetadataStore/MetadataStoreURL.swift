import Logging

/// The addresses of metadata stores, as configurations have them (`metadataStoreUrl`, `metadataServiceUri`).
public enum MetadataStoreURL {
  /// Opens the store at `url`: `etcd://host:port[,host:port][/root]`, or `rocksdb:/path` for one process alone. What
  /// BookKeeper puts before it (`metadata-store:`) is passed over.
  /// - Parameter tls: how connections to etcd are encrypted; nil: as the address says.
  /// - Throws: `MetadataError.storage` when the address is none, or the store does not answer.
  public static func open(
    _ url: String, tls: EtcdConfiguration.TLS? = nil, logger: Logger
  ) async throws -> any MetadataStore {
    let prefix = "metadata-store:"
    let address = url.hasPrefix(prefix) ? String(url.dropFirst(prefix.count)) : url
    if address.hasPrefix("etcd:") {
      var configuration = try EtcdConfiguration(url: address)
      if let tls { configuration.tls = tls }
      return try await EtcdStore.open(configuration, logger: logger)
    }
    for scheme in ["rocksdb://", "rocksdb:"] where address.hasPrefix(scheme) {
      return try await RocksDBStore.open(path: String(address.dropFirst(scheme.count)), logger: logger)
    }
    throw MetadataError.storage(
      "\"\(url)\" is no address of a metadata store; use etcd://host:port[,host:port] or rocksdb:/path.")
  }
}

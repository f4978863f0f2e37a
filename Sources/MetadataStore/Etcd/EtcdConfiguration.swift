/// Where an etcd cluster is, and how it is talked to.
public struct EtcdConfiguration: Sendable, Equatable {
  /// One member of the cluster.
  public struct Endpoint: Sendable, Hashable, CustomStringConvertible {
    /// A name or an address.
    public var host: String
    /// The client port.
    public var port: Int

    /// An endpoint of the given parts.
    public init(host: String, port: Int) {
      self.host = host
      self.port = port
    }

    /// `host:port`.
    public var description: String { host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)" }
  }

  /// How connections are encrypted. Names in parentheses are those of Pulsar's `metadataStoreConfigPath` file.
  public struct TLS: Sendable, Equatable {
    /// Certificates that members are checked against (PEM); nil: the system's. (`tlsTrustCertsFilePath`)
    public var trustCertsFilePath: String?
    /// The client's certificate chain (PEM), if the cluster asks for one. (`tlsCertificateFilePath`)
    public var certificateFilePath: String?
    /// Its private key (PEM). (`tlsKeyFilePath`)
    public var keyFilePath: String?

    /// The system's trust, no certificate of its own.
    public init() {}
  }

  /// The members, in the order in which they are tried.
  public var endpoints: [Endpoint]
  /// What every key begins with, so that several regions can share a cluster: empty, or a path without a trailing slash.
  public var root = Self.defaultRoot
  /// Encryption; nil: none.
  public var tls: TLS?
  /// How long one operation may take in all, over every repetition and endpoint. (`metadataStoreOperationTimeoutSeconds`)
  public var operationTimeout = Duration.seconds(10)
  /// How long one member may take to answer before another one is asked.
  public var attemptTimeout = Duration.seconds(3)
  /// Bytes of one answer, at most; a longer list is read in smaller pages.
  public var maximumResponseSize = 64 << 20

  /// The root of keys when an address names none.
  public static let defaultRoot = "/meridian"

  /// A cluster of the given members.
  public init(endpoints: [Endpoint]) {
    self.endpoints = endpoints
  }

  /// Reads an address such as `etcd://a:2379,b:2379`, `etcd://a:2379/region-us` (the root of the keys), or as Pulsar has it
  /// `etcd:http://a:2379,http://b:2379`; `https` turns encryption on.
  /// - Throws: `MetadataError.storage` with what is wrong.
  public init(url: String) throws(MetadataError) {
    guard url.hasPrefix("etcd:") else { throw Self.invalid(url, "it does not begin with etcd:") }
    var rest = url.dropFirst("etcd:".count)
    if rest.hasPrefix("//") { rest = rest.dropFirst(2) }
    var endpoints: [Endpoint] = []
    var root: String?
    for part in rest.split(separator: ",", omittingEmptySubsequences: false) {
      var text = part
      if let end = text.range(of: "://") {
        switch text[..<end.lowerBound] {
        case "https": tls = TLS()
        case "http": break
        default: throw Self.invalid(url, "\(text[..<end.lowerBound]) is neither http nor https")
        }
        text = text[end.upperBound...]
      }
      if let slash = text.firstIndex(of: "/") {
        let path = String(text[slash...])
        text = text[..<slash]
        if path != "/" {
          guard root == nil || root == path else { throw Self.invalid(url, "its parts name different roots") }
          root = path
        }
      }
      guard let colon = text.lastIndex(of: ":"), let port = Int(text[text.index(after: colon)...]),
        (1...65_535).contains(port)
      else { throw Self.invalid(url, "\"\(text)\" is no host:port") }
      var host = String(text[..<colon])
      if host.hasPrefix("["), host.hasSuffix("]") { host = String(host.dropFirst().dropLast()) }
      guard !host.isEmpty else { throw Self.invalid(url, "\"\(text)\" names no host") }
      endpoints.append(Endpoint(host: host, port: port))
    }
    if let root {
      do { try MetadataKey.validate(root) } catch { throw Self.invalid(url, "\(root) is no path for keys") }
      self.root = root
    }
    self.endpoints = endpoints
  }

  private static func invalid(_ url: String, _ reason: String) -> MetadataError {
    .storage("\"\(url)\" is no address of an etcd cluster: \(reason). An example: etcd://10.0.0.1:2379,10.0.0.2:2379")
  }
}

extension Substring {
  fileprivate func range(of text: String) -> Range<Index>? {
    var index = startIndex
    while index < endIndex {
      if self[index...].hasPrefix(text) { return index..<self.index(index, offsetBy: text.count) }
      index = self.index(after: index)
    }
    return nil
  }
}

/// Where a broker listens: `pulsar://host:port` or `pulsar+ssl://host:port`.
public struct ServiceAddress: Hashable, Sendable, CustomStringConvertible {
  /// Host name or address, without brackets.
  public var host: String
  /// TCP port.
  public var port: Int
  /// Whether the connection is TLS.
  public var isTLS: Bool

  /// An address from its parts.
  public init(host: String, port: Int, isTLS: Bool) {
    self.host = host
    self.port = port
    self.isTLS = isTLS
  }

  /// Parses a service URL; ports default to 6650 and 6651. A list of hosts separated by commas stands for its first.
  /// - Throws: `PulsarClientError.invalidServiceURL`.
  public init(_ url: String) throws(PulsarClientError) {
    var rest = Substring(url)
    if rest.hasPrefix("pulsar://") {
      rest = rest.dropFirst(9)
      isTLS = false
    } else if rest.hasPrefix("pulsar+ssl://") {
      rest = rest.dropFirst(13)
      isTLS = true
    } else {
      throw .invalidServiceURL(url)
    }
    while rest.hasSuffix("/") { rest = rest.dropLast() }
    rest = rest.split(separator: ",").first ?? ""
    var portText: Substring?
    if rest.hasPrefix("["), let end = rest.firstIndex(of: "]") {
      host = String(rest[rest.index(after: rest.startIndex)..<end])
      let tail = rest[rest.index(after: end)...]
      portText = tail.hasPrefix(":") ? tail.dropFirst() : nil
    } else if let colon = rest.lastIndex(of: ":") {
      host = String(rest[..<colon])
      portText = rest[rest.index(after: colon)...]
    } else {
      host = String(rest)
    }
    if let portText {
      guard let number = Int(portText), (1...65_535).contains(number) else { throw .invalidServiceURL(url) }
      port = number
    } else {
      port = isTLS ? 6651 : 6650
    }
    guard !host.isEmpty else { throw .invalidServiceURL(url) }
  }

  /// The service URL.
  public var description: String {
    "\(isTLS ? "pulsar+ssl" : "pulsar")://\(host.contains(":") ? "[\(host)]" : host):\(port)"
  }
}

/// The address of an admin API: `http[s]://host[:port]`.
struct AdminURL: Hashable, Sendable, CustomStringConvertible {
  var isTLS: Bool
  var host: String
  var port: Int

  init(_ text: String) throws(AdminClientError) {
    var rest = Substring(text)
    if rest.hasPrefix("http://") {
      isTLS = false
      rest = rest.dropFirst(7)
    } else if rest.hasPrefix("https://") {
      isTLS = true
      rest = rest.dropFirst(8)
    } else {
      throw .badURL(text)
    }
    while rest.hasSuffix("/") { rest = rest.dropLast() }
    var hostPart = rest
    var portPart: Substring?
    if rest.hasPrefix("["), let end = rest.firstIndex(of: "]") {
      hostPart = rest[rest.index(after: rest.startIndex)..<end]
      let tail = rest[rest.index(after: end)...]
      guard tail.isEmpty || tail.hasPrefix(":") else { throw .badURL(text) }
      portPart = tail.isEmpty ? nil : tail.dropFirst()
    } else if let colon = rest.firstIndex(of: ":") {
      hostPart = rest[..<colon]
      portPart = rest[rest.index(after: colon)...]
    }
    guard !hostPart.isEmpty, !hostPart.contains("/"), !hostPart.contains("@") else { throw .badURL(text) }
    host = String(hostPart)
    if let portPart {
      guard let number = UInt16(portPart), number > 0 else { throw .badURL(text) }
      port = Int(number)
    } else {
      port = isTLS ? 443 : 80
    }
  }

  var authority: String { host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)" }

  var description: String { "\(isTLS ? "https" : "http")://\(authority)" }
}

/// A namespace: the unit that policies are set on, `tenant/namespace`.
public struct NamespaceName: Hashable, Sendable, Comparable, CustomStringConvertible {
  /// The tenant that owns the namespace.
  public let tenant: String
  /// The namespace's name within its tenant.
  public let localName: String

  /// Where topics without a tenant and namespace go: `public/default`.
  public static let publicDefault = NamespaceName(unchecked: "public", "default")

  /// Makes a name of its two parts; throws ``BrokerError`` (`badRequest`) if one of them is not a valid name.
  public init(tenant: String, localName: String) throws(BrokerError) {
    guard Self.isValidPart(tenant) else {
      throw .badRequest("'\(tenant)' is not a valid tenant name: use letters, digits and -=:._")
    }
    guard Self.isValidPart(localName) else {
      throw .badRequest("'\(localName)' is not a valid namespace name: use letters, digits and -=:._")
    }
    self.init(unchecked: tenant, localName)
  }

  /// Parses `tenant/namespace`; throws ``BrokerError`` (`badRequest`) for anything else.
  public init(_ text: String) throws(BrokerError) {
    let parts = text.split(separator: "/", omittingEmptySubsequences: false)
    guard parts.count == 2 else {
      throw .badRequest("'\(text)' is not a namespace: write it as tenant/namespace")
    }
    try self.init(tenant: String(parts[0]), localName: String(parts[1]))
  }

  init(unchecked tenant: String, _ localName: String) {
    self.tenant = tenant
    self.localName = localName
  }

  /// `tenant/namespace`.
  public var description: String { "\(tenant)/\(localName)" }

  /// By tenant, then by name.
  public static func < (a: NamespaceName, b: NamespaceName) -> Bool {
    (a.tenant, a.localName) < (b.tenant, b.localName)
  }

  /// Whether `part` may be a tenant's or a namespace's name: 1 to 255 of letters, digits and `-=:._`.
  public static func isValidPart(_ part: String) -> Bool {
    guard (1...255).contains(part.utf8.count), part != ".", part != ".." else { return false }
    return part.utf8.allSatisfy { byte in
      switch byte {
      case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
        UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "="), UInt8(ascii: ":"),
        UInt8(ascii: "."), UInt8(ascii: "_"):
        true
      default: false
      }
    }
  }
}

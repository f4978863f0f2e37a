/// Whether a topic keeps its messages.
public enum TopicDomain: String, Hashable, Sendable, CaseIterable {
  case persistent
  case nonPersistent = "non-persistent"
}

/// The full name of a topic: `persistent://tenant/namespace/topic`, or of one partition of it (`…-partition-3`).
public struct TopicName: Hashable, Sendable, Comparable, CustomStringConvertible {
  /// Whether messages are stored.
  public let domain: TopicDomain
  /// The namespace whose policies hold for the topic.
  public let namespace: NamespaceName
  /// The name within its namespace, with the partition suffix if there is one.
  public let localName: String
  /// The partition this name stands for, 0 and up; nil for a topic that is not a partition.
  public let partition: Int?

  static let partitionSuffix = "-partition-"
  static let maximumLocalNameBytes = 1024

  /// Parses a full name, or a short one: `topic` is `persistent://public/default/topic`, `tenant/ns/topic` is
  /// persistent. Throws ``BrokerError`` (`invalidTopicName`) that says what is wrong with it.
  public init(_ text: String) throws(BrokerError) {
    var domain = TopicDomain.persistent
    var rest = Substring(text)
    if let scheme = text.firstRange(ofScheme: "://") {
      let name = String(text[..<scheme.lowerBound])
      guard let parsed = TopicDomain(rawValue: name) else {
        throw .invalidTopicName(
          "'\(text)' is not a topic: its domain '\(name)' is neither persistent nor non-persistent")
      }
      domain = parsed
      rest = text[scheme.upperBound...]
      guard rest.split(separator: "/", omittingEmptySubsequences: false).count >= 3 else {
        throw .invalidTopicName("'\(text)' is not a topic: write it as \(name)://tenant/namespace/topic")
      }
    }
    let parts = rest.split(separator: "/", maxSplits: 2, omittingEmptySubsequences: false)
    switch parts.count {
    case 1:
      try self.init(domain: domain, namespace: .publicDefault, localName: String(parts[0]))
    case 3:
      let namespace: NamespaceName
      do {
        namespace = try NamespaceName(tenant: String(parts[0]), localName: String(parts[1]))
      } catch {
        throw .invalidTopicName("'\(text)' is not a topic: \(error.message)")
      }
      try self.init(domain: domain, namespace: namespace, localName: String(parts[2]))
    default:
      throw .invalidTopicName("'\(text)' is not a topic: write it as topic or tenant/namespace/topic")
    }
  }

  /// Makes a name of its parts; throws ``BrokerError`` (`invalidTopicName`) if `localName` is empty, too long or
  /// holds control characters.
  public init(domain: TopicDomain, namespace: NamespaceName, localName: String) throws(BrokerError) {
    guard !localName.isEmpty, localName.utf8.count <= Self.maximumLocalNameBytes else {
      throw .invalidTopicName(
        "a topic's name has 1 to \(Self.maximumLocalNameBytes) bytes, not \(localName.utf8.count)")
    }
    guard !localName.utf8.contains(where: { $0 < 0x20 || $0 == 0x7f }) else {
      throw .invalidTopicName("a topic's name may not hold control characters")
    }
    self.init(unchecked: domain, namespace, localName)
  }

  private init(unchecked domain: TopicDomain, _ namespace: NamespaceName, _ localName: String) {
    self.domain = domain
    self.namespace = namespace
    self.localName = localName
    self.partition = Self.partitionIndex(of: localName)
  }

  /// Whether messages of the topic are stored.
  public var isPersistent: Bool { domain == .persistent }

  /// The name of partition `index` of this topic.
  public func partition(_ index: Int) -> TopicName {
    TopicName(unchecked: domain, namespace, "\(localName)\(Self.partitionSuffix)\(index)")
  }

  /// The partitioned topic that this partition is part of; the name itself if it is no partition.
  public var partitionedTopic: TopicName {
    guard let partition else { return self }
    let suffix = "\(Self.partitionSuffix)\(partition)"
    return TopicName(unchecked: domain, namespace, String(localName.dropLast(suffix.count)))
  }

  /// The local name with everything but unreserved characters percent-encoded: one path component of a key.
  public var encodedLocalName: String {
    var encoded = ""
    encoded.reserveCapacity(localName.utf8.count)
    for byte in localName.utf8 {
      switch byte {
      case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
        UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: "_"),
        UInt8(ascii: "~"):
        encoded.unicodeScalars.append(Unicode.Scalar(byte))
      default:
        let digits = Array("0123456789ABCDEF".unicodeScalars)
        encoded.unicodeScalars.append("%")
        encoded.unicodeScalars.append(digits[Int(byte >> 4)])
        encoded.unicodeScalars.append(digits[Int(byte & 15)])
      }
    }
    return encoded
  }

  /// Undoes ``encodedLocalName``; nil if `encoded` is not well formed.
  static func decodeLocalName(_ encoded: some StringProtocol) -> String? {
    var bytes: [UInt8] = []
    var rest = Substring(encoded).utf8[...]
    while let byte = rest.popFirst() {
      guard byte == UInt8(ascii: "%") else {
        bytes.append(byte)
        continue
      }
      guard let high = rest.popFirst(), let low = rest.popFirst(),
        let value = UInt8(String(decoding: [high, low], as: UTF8.self), radix: 16)
      else { return nil }
      bytes.append(value)
    }
    return String(validating: bytes, as: UTF8.self)
  }

  /// `tenant/namespace/domain/encoded topic`: the topic's part of every metadata key that concerns it, and the name
  /// its log is kept under.
  public var storagePath: String { "\(namespace)/\(domain.rawValue)/\(encodedLocalName)" }

  /// `domain://tenant/namespace/topic`.
  public var description: String { "\(domain.rawValue)://\(namespace)/\(localName)" }

  /// By full name.
  public static func < (a: TopicName, b: TopicName) -> Bool { a.description < b.description }

  private static func partitionIndex(of localName: String) -> Int? {
    var digits: [UInt8] = []
    var rest = localName.utf8[...]
    while let last = rest.last, last >= UInt8(ascii: "0"), last <= UInt8(ascii: "9") {
      digits.append(last)
      rest.removeLast()
    }
    guard !digits.isEmpty, digits.count <= 6, digits.count == 1 || digits.last != UInt8(ascii: "0"),
      rest.count > partitionSuffix.utf8.count,
      rest.suffix(partitionSuffix.utf8.count).elementsEqual(partitionSuffix.utf8)
    else { return nil }
    return digits.reversed().reduce(0) { $0 * 10 + Int($1 - UInt8(ascii: "0")) }
  }
}

extension String {
  fileprivate func firstRange(ofScheme separator: String) -> Range<String.Index>? {
    var index = startIndex
    while index < endIndex {
      if self[index...].hasPrefix(separator) { return index..<self.index(index, offsetBy: separator.count) }
      if self[index] == "/" { return nil }
      formIndex(after: &index)
    }
    return nil
  }
}

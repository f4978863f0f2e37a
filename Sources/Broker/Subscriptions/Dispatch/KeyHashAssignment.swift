/// Which consumer of a Key_Shared subscription owns which of the 65,536 key hashes.
///
/// `autoSplit` uses a ring with many points for each consumer, so that a consumer that comes or goes moves only its own
/// share. The points follow from the consumer's name: one that reconnects gets its keys back.
struct KeyHashAssignment: Sendable {
  private struct Point: Sendable {
    var hash: UInt16
    var name: String
    var occurrence: Int
    var key: ConsumerKey

    static func precedes(_ a: Point, _ b: Point) -> Bool {
      if a.hash != b.hash { return a.hash < b.hash }
      if a.name != b.name { return a.name < b.name }
      return a.occurrence < b.occurrence
    }
  }

  private struct Sticky: Sendable {
    var range: KeyHashRange
    var key: ConsumerKey
  }

  /// The policy of the consumers that are there; nil while there are none.
  private(set) var mode: KeySharedPolicy.Mode?
  private var ring: [Point] = []
  private var sticky: [Sticky] = []
  private var names: [ConsumerKey: (name: String, occurrence: Int)] = [:]
  private let pointsPerConsumer: Int

  init(pointsPerConsumer: Int) { self.pointsPerConsumer = max(1, pointsPerConsumer) }

  /// The consumer that owns `hash`; nil if no sticky range holds it.
  func owner(_ hash: UInt16) -> ConsumerKey? {
    if mode == .sticky { return stickyOwner(hash) }
    guard !ring.isEmpty else { return nil }
    var low = 0
    var high = ring.count
    while low < high {
      let middle = (low + high) / 2
      if ring[middle].hash < hash { low = middle + 1 } else { high = middle }
    }
    return ring[low == ring.count ? 0 : low].key
  }

  /// The ranges that a consumer owns, in order.
  func ranges(of key: ConsumerKey) -> [KeyHashRange] {
    if mode == .sticky { return sticky.filter { $0.key == key }.map(\.range) }
    guard let last = ring.last, let first = ring.first else { return [] }
    var ranges: [KeyHashRange] = []
    var start = 0
    for (index, point) in ring.enumerated() where index == 0 || ring[index - 1].hash != point.hash {
      if point.key == key { ranges.appendJoining(KeyHashRange(start: start, end: Int(point.hash))) }
      start = Int(point.hash) + 1
    }
    if last.hash < .max, first.key == key { ranges.appendJoining(KeyHashRange(start: start, end: Int(UInt16.max))) }
    return ranges
  }

  /// - Throws: `consumerAssign` if the policy differs from that of the others, or the ranges are missing, out of
  ///   bounds, or taken.
  mutating func add(_ key: ConsumerKey, name: String, policy: KeySharedPolicy) throws(SubscriptionError) {
    if let mode, mode != policy.mode {
      throw .consumerAssign(
        "The subscription's consumers use the Key_Shared policy \(mode.rawValue), not \(policy.mode.rawValue).")
    }
    switch policy.mode {
    case .autoSplit:
      let taken = Set(names.values.filter { $0.name == name }.map(\.occurrence))
      var occurrence = 0
      while taken.contains(occurrence) { occurrence += 1 }
      names[key] = (name, occurrence)
      for number in 0..<pointsPerConsumer {
        let hash = Murmur3.keyHash("\(name)\u{0}\(occurrence)\u{0}\(number)")
        ring.append(Point(hash: hash, name: name, occurrence: occurrence, key: key))
      }
      ring.sort(by: Point.precedes)
    case .sticky:
      try addSticky(key, policy.ranges)
    }
    mode = policy.mode
  }

  mutating func remove(_ key: ConsumerKey) {
    names[key] = nil
    ring.removeAll { $0.key == key }
    sticky.removeAll { $0.key == key }
    if ring.isEmpty && sticky.isEmpty { mode = nil }
  }

  private mutating func addSticky(_ key: ConsumerKey, _ ranges: [KeyHashRange]) throws(SubscriptionError) {
    guard !ranges.isEmpty else {
      throw .consumerAssign("A sticky Key_Shared consumer must name at least one range of key hashes.")
    }
    for (index, range) in ranges.enumerated() {
      guard range.start >= 0, range.end <= Int(UInt16.max), range.start <= range.end else {
        throw .consumerAssign("The key hash range [\(range.start), \(range.end)] is not within [0, 65535].")
      }
      let other = sticky.first { $0.range.overlaps(range) }?.range ?? ranges[..<index].first { $0.overlaps(range) }
      if let other {
        throw .consumerAssign(
          "The key hash range [\(range.start), \(range.end)] overlaps [\(other.start), \(other.end)].")
      }
    }
    sticky.append(contentsOf: ranges.map { Sticky(range: $0, key: key) })
    sticky.sort { $0.range.start < $1.range.start }
  }

  private func stickyOwner(_ hash: UInt16) -> ConsumerKey? {
    var low = 0
    var high = sticky.count
    while low < high {
      let middle = (low + high) / 2
      if sticky[middle].range.end < Int(hash) { low = middle + 1 } else { high = middle }
    }
    guard low < sticky.count, sticky[low].range.contains(hash) else { return nil }
    return sticky[low].key
  }
}

extension [KeyHashRange] {
  fileprivate mutating func appendJoining(_ range: KeyHashRange) {
    if let last = last, last.end + 1 == range.start {
      self[count - 1].end = range.end
    } else {
      append(range)
    }
  }
}

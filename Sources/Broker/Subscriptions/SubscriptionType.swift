/// How the messages of a subscription are shared among its consumers.
enum SubscriptionType: String, Sendable, Hashable {
  /// One consumer at a time; a second one is refused.
  case exclusive = "Exclusive"
  /// Every consumer gets a part of the messages, each acknowledged on its own.
  case shared = "Shared"
  /// Many consumers, one of them active.
  case failover = "Failover"
  /// As shared, but all messages of one key go to one consumer, in order.
  case keyShared = "Key_Shared"

  /// Whether a cumulative acknowledgement has a meaning: all messages went to one consumer, in order.
  var allowsCumulativeAcknowledgement: Bool {
    switch self {
    case .exclusive, .failover: true
    case .shared, .keyShared: false
    }
  }
}

/// An inclusive range of the 16-bit hashes of message keys.
struct KeyHashRange: Sendable, Hashable {
  var start: Int
  var end: Int

  init(start: Int, end: Int) {
    self.start = start
    self.end = end
  }

  func contains(_ hash: UInt16) -> Bool { start <= Int(hash) && Int(hash) <= end }
  func overlaps(_ other: KeyHashRange) -> Bool { start <= other.end && other.start <= end }
}

/// How a Key_Shared subscription gives key hashes to its consumers.
struct KeySharedPolicy: Sendable, Hashable {
  enum Mode: String, Sendable, Hashable {
    /// The broker spreads the hashes over the consumers.
    case autoSplit = "AUTO_SPLIT"
    /// Each consumer names the ranges that it wants.
    case sticky = "STICKY"
  }

  var mode: Mode
  /// The ranges a sticky consumer asks for; empty for `autoSplit`.
  var ranges: [KeyHashRange]
  /// Gives up the order within a key when consumers come and go, in exchange for never holding a key back.
  var allowsOutOfOrderDelivery: Bool

  init(mode: Mode = .autoSplit, ranges: [KeyHashRange] = [], allowsOutOfOrderDelivery: Bool = false) {
    self.mode = mode
    self.ranges = ranges
    self.allowsOutOfOrderDelivery = allowsOutOfOrderDelivery
  }
}

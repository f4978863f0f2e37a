import TopicLog

/// Identifies a consumer within one subscription; never used twice.
typealias ConsumerKey = Int

/// What a dispatcher must know of an entry to decide where it goes.
struct EntryDescription: Sendable, Equatable {
  var position: Position
  /// The messages that remain to be acknowledged in it, at least 1: its price in permits.
  var messages: Int
  /// The hash of its key; only Key_Shared looks at it.
  var keyHash: UInt16
  /// When it may be delivered, in milliseconds since 1970; 0 for at once.
  var deliverAtMs: Int64

  init(position: Position, messages: Int = 1, keyHash: UInt16 = 0, deliverAtMs: Int64 = 0) {
    self.position = position
    self.messages = messages
    self.keyHash = keyHash
    self.deliverAtMs = deliverAtMs
  }
}

/// What becomes of an entry that was offered to a dispatcher.
enum DispatchDecision: Equatable, Sendable {
  /// It goes to this consumer; the dispatcher has taken its permits.
  case deliver(ConsumerKey, redeliveryCount: UInt32)
  /// Nobody can take it now: offer it again later, before any later entry.
  case hold
  /// The dispatcher remembers its position and will ask for it when it can go; offer the next one.
  case setAside
  /// Nobody waits for it any more.
  case drop
}

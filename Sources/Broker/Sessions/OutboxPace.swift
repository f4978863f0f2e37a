/// Tells whether topics keep up with what one connection asks of them.
///
/// From time to time a mark is sent along behind the requests; it comes back when they are done. Who has sent too much
/// since the last mark went out is ahead of them.
struct OutboxPace: Hashable, Sendable {
  /// What may be on its way behind a mark that has not come back.
  static let limit = 50_000

  /// Sent behind the last mark.
  private var unmarked = 0
  private var isMarkOut = false

  /// Whether to wait before more is asked.
  var isBehind: Bool { isMarkOut && unmarked > Self.limit }

  /// Requests were sent.
  /// - Returns: whether a mark is to be sent behind them.
  mutating func sent(_ weight: Int) -> Bool {
    unmarked += weight
    guard !isMarkOut, unmarked > Self.limit / 10 else { return false }
    isMarkOut = true
    unmarked = 0
    return true
  }

  /// The mark came back.
  /// - Returns: whether the next one is to be sent at once.
  mutating func reached() -> Bool {
    isMarkOut = false
    return sent(0)
  }
}

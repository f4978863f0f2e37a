import NIOCore

/// Messages and bytes per second over the last ten seconds, and their totals. No allocation, no clock of its own.
public struct RateMeter: Sendable {
  /// One slot for each second, used in turn; the second that slot `i` belongs to is `i` modulo 16.
  private var messageSlots = SIMD16<Int64>()
  private var byteSlots = SIMD16<Int64>()
  private var currentSecond: Int64 = -1
  private var firstSecond: Int64 = -1

  /// Messages since the start.
  public private(set) var totalMessages: Int64 = 0
  /// Bytes since the start.
  public private(set) var totalBytes: Int64 = 0

  /// The span of the average, in seconds.
  public static let windowSeconds: Int64 = 10

  /// A meter that has counted nothing.
  public init() {}

  /// Counts `messages` and `bytes` at `now`. Calls must not go back in time by more than some seconds; a time before
  /// the newest is counted as the newest.
  public mutating func record(messages: Int, bytes: Int, now: NIODeadline) {
    let second = Self.second(now)
    if second > currentSecond { advance(to: second) }
    let slot = Int(currentSecond & 15)
    messageSlots[slot] &+= Int64(messages)
    byteSlots[slot] &+= Int64(bytes)
    totalMessages &+= Int64(messages)
    totalBytes &+= Int64(bytes)
  }

  /// The average rates per second at `now`; 0 when nothing was counted within the window.
  public func rates(now: NIODeadline) -> (messages: Double, bytes: Double) {
    guard currentSecond >= 0 else { return (0, 0) }
    var copy = self
    let second = max(Self.second(now), currentSecond)
    if second > currentSecond { copy.advance(to: second) }
    var messages: Int64 = 0
    var bytes: Int64 = 0
    // The running second counts too, so that a burst shows at once; the span is what really went by.
    for age in 0..<Self.windowSeconds where second - age >= 0 {
      messages &+= copy.messageSlots[Int((second - age) & 15)]
      bytes &+= copy.byteSlots[Int((second - age) & 15)]
    }
    let span = Double(min(Self.windowSeconds, max(1, second - firstSecond + 1)))
    return (Double(messages) / span, Double(bytes) / span)
  }

  private mutating func advance(to second: Int64) {
    if currentSecond < 0 || second - currentSecond >= 16 {
      messageSlots = SIMD16<Int64>()
      byteSlots = SIMD16<Int64>()
      if currentSecond < 0 { firstSecond = second }
    } else {
      for passed in (currentSecond + 1)...second {
        messageSlots[Int(passed & 15)] = 0
        byteSlots[Int(passed & 15)] = 0
      }
    }
    currentSecond = second
  }

  private static func second(_ now: NIODeadline) -> Int64 { Int64(now.uptimeNanoseconds / 1_000_000_000) }
}

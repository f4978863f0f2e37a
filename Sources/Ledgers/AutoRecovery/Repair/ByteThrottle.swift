import NIOCore

/// How long to wait so that a byte rate is not exceeded. A value without a clock.
struct ByteThrottle {
  private let bytesPerSecond: Int
  /// Everything taken so far is paid for at this time.
  private var paidAt: NIODeadline = .uptimeNanoseconds(0)

  /// - Parameter bytesPerSecond: 0: no limit.
  init(bytesPerSecond: Int) {
    self.bytesPerSecond = bytesPerSecond
  }

  /// Takes bytes that were moved; returns how long to wait before more.
  mutating func take(_ bytes: Int, now: NIODeadline) -> TimeAmount {
    guard bytesPerSecond > 0 else { return .zero }
    // What was not used for a while is lost: no burst follows a pause.
    let start = max(paidAt, now)
    let cost = Double(bytes) / Double(bytesPerSecond) * 1_000_000_000
    paidAt = start + .nanoseconds(Int64(min(cost, 3.6e12)))
    return paidAt - now
  }
}

/// One throttle for all who copy.
actor SharedThrottle {
  private var throttle: ByteThrottle

  init(bytesPerSecond: Int) {
    throttle = ByteThrottle(bytesPerSecond: bytesPerSecond)
  }

  /// Returns when the bytes, which were moved already, are paid for.
  func pay(_ bytes: Int) async throws {
    let wait = throttle.take(bytes, now: .now())
    if wait > .zero { try await Task.sleep(for: .nanoseconds(wait.nanoseconds)) }
  }
}

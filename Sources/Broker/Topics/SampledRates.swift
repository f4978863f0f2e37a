/// Turns counters that only grow into rates, one sample at a time.
struct SampledRates: Hashable, Sendable {
  private(set) var messagesPerSecond = 0.0
  private(set) var bytesPerSecond = 0.0
  private(set) var chunksPerSecond = 0.0
  private(set) var averageMessageSize = 0.0
  private var last = PublishCounters()
  private var lastMs: Int64?

  /// Takes a sample at `nowMs`. The first one only marks the beginning.
  mutating func sample(_ counters: PublishCounters, nowMs: Int64) {
    defer {
      last = counters
      lastMs = nowMs
    }
    guard let lastMs, nowMs > lastMs else { return }
    let seconds = Double(nowMs - lastMs) / 1000
    let messages = Double(counters.messages - last.messages)
    let bytes = Double(counters.bytes - last.bytes)
    messagesPerSecond = messages / seconds
    bytesPerSecond = bytes / seconds
    chunksPerSecond = Double(counters.chunks - last.chunks) / seconds
    averageMessageSize = messages > 0 ? bytes / messages : 0
  }
}

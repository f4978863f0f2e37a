import Histogram
import Ledgers
import NIOCore

/// Entries appended to one ledger at a steady rate. Confined to the ledger's loop.
final class LedgerLoad: @unchecked Sendable {
  /// What was measured.
  struct Outcome: Sendable {
    /// Microseconds from the time at which an entry was due to its receipt.
    var latency = LatencyRecorder.empty()
    var acknowledged = 0
    var failure: String?
  }

  private let ledger: WritableLedger
  private let payload: ByteBuffer
  private let rate: Double
  private let start = ContinuousClock.now
  private var appended = 0
  private var isMeasuring = false
  private var isOver = false
  private var outcome = Outcome()

  init(_ ledger: WritableLedger, payloadBytes: Int, rate: Double) {
    self.ledger = ledger
    self.rate = rate
    payload = ByteBuffer(repeating: 0x5A, count: payloadBytes)
  }

  /// Appends, measuring after the warm-up, and returns when every entry has its receipt.
  func run(warmup: Duration, measured: Duration, atStart: @escaping @Sendable () -> Void) async throws -> Outcome {
    let loop = ledger.eventLoop
    let ticks = loop.scheduleRepeatedTask(initialDelay: .zero, delay: .milliseconds(1)) { _ in self.tick() }
    try await Task.sleep(for: warmup)
    atStart()
    try await loop.submit { self.isMeasuring = true }.get()
    try await Task.sleep(for: measured)
    ticks.cancel()
    try await loop.submit { self.isOver = true }.get()
    while true {
      let (isDone, outcome) = try await loop.submit { (self.isDone, self.outcome) }.get()
      if isDone { return outcome }
      try await Task.sleep(for: .milliseconds(5))
    }
  }

  private var isDone: Bool { outcome.failure != nil || outcome.acknowledged == appended }

  private func tick() {
    guard !isOver, outcome.failure == nil else { return }
    let due = Int((ContinuousClock.now - start).inSeconds * rate)
    while appended < due {
      let at = start + .seconds(Double(appended) / rate)
      let counts = isMeasuring
      appended += 1
      ledger.append(ByteBuffer(), payload) { result in
        switch result {
        case .success:
          self.outcome.acknowledged += 1
          guard counts else { return }
          let microseconds = (ContinuousClock.now - at).inSeconds * 1e6
          _ = self.outcome.latency.record(UInt64(max(1, min(6e8, microseconds))))
        case .failure(let error): self.outcome.failure = self.outcome.failure ?? "\(error)"
        }
      }
    }
  }
}

import Histogram
import NIOConcurrencyHelpers

/// Collects latencies from any thread.
final class LatencyRecorder: Sendable {
  private struct State {
    var histogram = LatencyRecorder.empty()
    var count = 0
    var bytes = 0
    var failed = 0
    var firstError: String?
    var isMeasuring = false
  }

  private let state = NIOLockedValueBox(State())

  /// 1 µs to 10 minutes, three digits.
  static func empty() -> Histogram<UInt64> {
    Histogram<UInt64>(
      lowestDiscernibleValue: 1, highestTrackableValue: 600_000_000, numberOfSignificantValueDigits: .three)
  }

  /// What was recorded before counts no more: the warm-up is over.
  func begin() {
    state.withLockedValue { state in
      state = State()
      state.isMeasuring = true
    }
  }

  func end() {
    state.withLockedValue { $0.isMeasuring = false }
  }

  func record(_ latency: Duration, bytes: Int) {
    let microseconds = max(1, min(600_000_000, Int64(latency.inSeconds * 1e6)))
    state.withLockedValue { state in
      guard state.isMeasuring else { return }
      state.count += 1
      state.bytes += bytes
      _ = state.histogram.record(UInt64(microseconds))
    }
  }

  func fail(_ error: any Error) {
    state.withLockedValue { state in
      state.failed += 1
      if state.firstError == nil { state.firstError = "\(error)" }
    }
  }

  var count: Int { state.withLockedValue { $0.count } }

  /// All recorders as one.
  static func merge(_ recorders: [LatencyRecorder]) -> Totals {
    var totals = Totals()
    for recorder in recorders {
      let state = recorder.state.withLockedValue { $0 }
      totals.histogram.add(state.histogram)
      totals.count += state.count
      totals.bytes += state.bytes
      totals.failed += state.failed
      if totals.firstError == nil { totals.firstError = state.firstError }
    }
    return totals
  }

  struct Totals {
    var histogram = LatencyRecorder.empty()
    var count = 0
    var bytes = 0
    var failed = 0
    var firstError: String?
  }
}

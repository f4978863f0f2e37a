import Atomics
import Foundation

/// Tells the threads of a measurement when what they do counts, and when to stop.
final class MeasureGate: Sendable {
  enum Phase: Int {
    case warmUp
    case measuring
    case over
  }

  private let value = ManagedAtomic<Int>(Phase.warmUp.rawValue)

  var phase: Phase { Phase(rawValue: value.load(ordering: .relaxed)) ?? .over }

  func set(_ phase: Phase) { value.store(phase.rawValue, ordering: .relaxed) }
}

/// CPU time from the system's clocks, in seconds.
enum CPUTime {
  /// Of this thread.
  static var thread: Double { seconds(CLOCK_THREAD_CPUTIME_ID) }
  /// Of the whole process.
  static var process: Double { seconds(CLOCK_PROCESS_CPUTIME_ID) }

  private static func seconds(_ clock: clockid_t) -> Double {
    var time = timespec()
    clock_gettime(clock, &time)
    return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
  }
}

/// Runs `body`, which blocks, on a thread of its own.
func onThread<R: Sendable>(_ body: @escaping @Sendable () throws -> R) async throws -> R {
  try await withCheckedThrowingContinuation { continuation in
    Thread.detachNewThread { continuation.resume(with: Result { try body() }) }
  }
}

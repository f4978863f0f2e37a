import Dispatch
import Foundation
import NIOConcurrencyHelpers

/// Ctrl-C and SIGTERM as a flag that a loop can wait on.
final class Interrupt: Sendable {
  private struct State: @unchecked Sendable {
    var isSet = false
    var sources: [any DispatchSourceSignal] = []
    var waiters: [UInt64: CheckedContinuation<Void, Never>] = [:]
    var nextWaiter: UInt64 = 0
  }

  private let state = NIOLockedValueBox(State())

  /// Takes the signals over for the rest of the process.
  static func install() -> Interrupt {
    let interrupt = Interrupt()
    for number in [SIGINT, SIGTERM] {
      signal(number, SIG_IGN)
      let source = DispatchSource.makeSignalSource(signal: number, queue: .global())
      source.setEventHandler { interrupt.set() }
      source.resume()
      interrupt.state.withLockedValue { $0.sources.append(source) }
    }
    return interrupt
  }

  var isSet: Bool { state.withLockedValue { $0.isSet } }

  func set() {
    let waiters = state.withLockedValue { state in
      state.isSet = true
      defer { state.waiters.removeAll() }
      return state.waiters.values.map { $0 }
    }
    for waiter in waiters { waiter.resume() }
  }

  /// Returns when the signal came.
  func wait() async {
    await withCheckedContinuation { continuation in
      let resumeNow = state.withLockedValue { state in
        if state.isSet { return true }
        state.waiters[state.nextWaiter] = continuation
        state.nextWaiter += 1
        return false
      }
      if resumeNow { continuation.resume() }
    }
  }

  /// Returns when the signal came or the time is over.
  func wait(atMost time: Duration) async {
    guard !isSet else { return }
    let step = Duration.milliseconds(50)
    let end = ContinuousClock.now + time
    while !isSet, ContinuousClock.now < end {
      try? await Task.sleep(for: min(step, end - ContinuousClock.now))
    }
  }
}

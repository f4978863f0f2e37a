import NIOConcurrencyHelpers

/// Hands committed changes to everybody who watches, in the order of their commits. Thread-safe.
final class WatchHub: Sendable {
  private struct Watcher {
    var prefix: String
    var continuation: AsyncStream<MetadataEvent>.Continuation
  }

  private struct State {
    var watchers: [Int: Watcher] = [:]
    var nextID = 0
    var isFinished = false
  }

  private let state = NIOLockedValueBox(State())

  /// A stream of what is published from now on under `prefix`. What was published and not taken yet is kept.
  /// Nil after `finish`.
  func watch(prefix: String) -> AsyncStream<MetadataEvent>? {
    let (stream, continuation) = AsyncStream.makeStream(of: MetadataEvent.self, bufferingPolicy: .unbounded)
    let id = state.withLockedValue { state -> Int? in
      guard !state.isFinished else { return nil }
      state.nextID += 1
      state.watchers[state.nextID] = Watcher(prefix: prefix, continuation: continuation)
      return state.nextID
    }
    guard let id else { return nil }
    continuation.onTermination = { [weak self] _ in
      // Taken out of the lock, so that it is not destroyed inside.
      _ = self?.state.withLockedValue { $0.watchers.removeValue(forKey: id) }
    }
    return stream
  }

  /// Publishes the events of one commit. Only one thread may publish, or the order is lost.
  func publish(_ events: [MetadataEvent]) {
    guard !events.isEmpty else { return }
    let watchers = state.withLockedValue { Array($0.watchers.values) }
    for watcher in watchers {
      for event in events where event.key.utf8.starts(with: watcher.prefix.utf8) {
        watcher.continuation.yield(event)
      }
    }
  }

  /// Ends every stream; there are no new ones.
  func finish() {
    let watchers = state.withLockedValue { state in
      state.isFinished = true
      defer { state.watchers = [:] }
      return Array(state.watchers.values)
    }
    for watcher in watchers { watcher.continuation.finish() }
  }

  /// Number of watches.
  var count: Int { state.withLockedValue { $0.watchers.count } }
}

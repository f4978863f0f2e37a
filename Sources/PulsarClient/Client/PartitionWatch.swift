import NIOConcurrencyHelpers
import NIOCore

/// Asks from time to time how many partitions a topic has, until it is stopped.
final class PartitionWatch: Sendable {
  private let task: Task<Void, Never>

  /// - Parameters:
  ///   - interval: pause between questions.
  ///   - update: called with the number of partitions; ends the watch by returning `false`.
  init(
    topic: String, client: PulsarClient, interval: TimeAmount, _ update: @escaping @Sendable (Int) async -> Bool
  ) {
    task = Task { [weak client] in
      while !Task.isCancelled {
        do {
          try await Task.sleep(for: .nanoseconds(max(interval.nanoseconds, 1_000_000)))
          guard let count = try await client?.partitions(of: topic) else { return }
          guard await update(count) else { return }
        } catch is CancellationError {
          return
        } catch PulsarClientError.closed {
          return
        } catch {
          continue  // out of reach just now; asked again
        }
      }
    }
  }

  deinit { task.cancel() }

  func stop() { task.cancel() }
}

/// What a producer or consumer has for each partition of its topic; grows when partitions are added.
final class PartitionList<Partition: Sendable>: Sendable {
  private struct State {
    var partitions: [Partition]
    var watch: PartitionWatch?
    var isClosed = false
  }

  private let state: NIOLockedValueBox<State>

  init(_ partitions: [Partition]) {
    state = NIOLockedValueBox(State(partitions: partitions))
  }

  var all: [Partition] { state.withLockedValue(\.partitions) }

  /// Adds partitions behind those that are there.
  ///
  /// - Returns: `false` if it was closed meanwhile: then they are not in the list.
  func append(_ more: [Partition]) -> Bool {
    state.withLockedValue { state in
      guard !state.isClosed else { return false }
      state.partitions += more
      return true
    }
  }

  /// Keeps the watch until ``close()``.
  func keep(_ watch: PartitionWatch) {
    let isClosed = state.withLockedValue { state in
      if !state.isClosed { state.watch = watch }
      return state.isClosed
    }
    if isClosed { watch.stop() }
  }

  /// Nothing is added from now on.
  ///
  /// - Returns: the partitions, which are to be closed.
  func close() -> [Partition] {
    let (partitions, watch) = state.withLockedValue { state in
      state.isClosed = true
      defer { state.watch = nil }
      return (state.partitions, state.watch)
    }
    watch?.stop()
    return partitions
  }
}

import NIOConcurrencyHelpers
import NIOCore

/// The topics that this broker has loaded or is loading. Each is loaded once, however many ask for it at the same time.
final class TopicDirectory: Sendable {
  private struct Slot {
    var number: UInt64
    var task: Task<LoadedTopic, any Error>
    /// Set when the task is done.
    var loaded: LoadedTopic?
  }

  private struct State {
    var slots: [TopicName: Slot] = [:]
    /// Topics that are being closed or deleted: nobody may load them before that is done.
    var leaving: [TopicName: Task<Void, Never>] = [:]
    var nextNumber: UInt64 = 0
    var isClosed = false
  }

  private let state = NIOLockedValueBox(State())

  /// The topic if it is loaded.
  func loaded(_ name: TopicName) -> LoadedTopic? {
    state.withLockedValue { $0.slots[name]?.loaded }
  }

  /// Every topic that is loaded.
  var all: [LoadedTopic] {
    state.withLockedValue { $0.slots.values.compactMap(\.loaded) }
  }

  /// Every topic of a namespace that is loaded.
  func all(in namespace: NamespaceName) -> [LoadedTopic] {
    all.filter { $0.name.namespace == namespace }
  }

  /// The topic, loaded by `load` if it is not there yet.
  func get(
    _ name: TopicName, load: @escaping @Sendable () async throws -> LoadedTopic
  ) async throws -> LoadedTopic {
    while true {
      let leaving = state.withLockedValue { $0.leaving[name] }
      guard let leaving else { break }
      await leaving.value
    }
    let (slot, isNew) = try state.withLockedValue { state -> (Slot, Bool) in
      if state.isClosed { throw BrokerError.notReady("The broker is shutting down") }
      if let slot = state.slots[name] { return (slot, false) }
      state.nextNumber += 1
      let slot = Slot(number: state.nextNumber, task: Task { try await load() })
      state.slots[name] = slot
      return (slot, true)
    }
    do {
      let topic = try await slot.task.value
      if isNew {
        state.withLockedValue { state in
          if state.slots[name]?.number == slot.number { state.slots[name]?.loaded = topic }
        }
      }
      return topic
    } catch {
      state.withLockedValue { state in
        if state.slots[name]?.number == slot.number { state.slots[name] = nil }
      }
      throw error
    }
  }

  /// Takes the topic out and runs `end` on it; who asks for it meanwhile waits. Nothing happens if it is not loaded, or
  /// if `expected` is another one.
  func remove(_ name: TopicName, _ end: @escaping @Sendable (LoadedTopic) async -> Void) async {
    let task = state.withLockedValue { state -> Task<Void, Never>? in
      if let leaving = state.leaving[name] { return leaving }
      guard let slot = state.slots.removeValue(forKey: name) else { return nil }
      let task = Task {
        if let topic = try? await slot.task.value { await end(topic) }
        self.state.withLockedValue { $0.leaving[name] = nil }
      }
      state.leaving[name] = task
      return task
    }
    await task?.value
  }

  /// From now on nothing is loaded.
  func close() {
    state.withLockedValue { $0.isClosed = true }
  }
}

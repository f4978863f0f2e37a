import DequeModule
import NIOConcurrencyHelpers
import NIOCore

/// The messages of all partitions of a consumer that wait to be received, and the tasks that wait for messages.
final class MessageQueue: Sendable {
  private struct Item {
    var partition: Int
    var epoch: UInt64
    var message: ReceivedMessage
  }

  private struct Waiter {
    var id: UInt64
    var continuation: CheckedContinuation<ReceivedMessage?, any Error>
  }

  private struct State {
    var items: Deque<Item> = []
    var waiters: Deque<Waiter> = []
    var permits: [PermitCounter]
    var lastTaken: [MessageID?]
    var failure: PulsarClientError?
    var nextWaiter: UInt64 = 0
    var cancelled: Set<UInt64> = []

    mutating func take() -> (message: ReceivedMessage, partition: Int, grant: Int?)? {
      guard let item = items.popFirst() else { return nil }
      return (item.message, item.partition, account(item))
    }

    mutating func account(_ item: Item) -> Int? {
      lastTaken[item.partition] = item.message.id
      return permits[item.partition].free(1, epoch: item.epoch)
    }
  }

  private let state: NIOLockedValueBox<State>
  /// Called with permits that a partition is to grant; any thread.
  private let onPermits: @Sendable (_ partition: Int, _ permits: Int) -> Void

  private let capacity: Int

  init(partitions: Int, capacity: Int, onPermits: @escaping @Sendable (Int, Int) -> Void) {
    state = NIOLockedValueBox(
      State(
        permits: Array(repeating: PermitCounter(capacity: capacity), count: partitions),
        lastTaken: Array(repeating: nil, count: partitions)))
    self.capacity = capacity
    self.onPermits = onPermits
  }

  /// Makes room for another partition, whose number is the next one.
  func addPartition() {
    state.withLockedValue { state in
      state.permits.append(PermitCounter(capacity: capacity))
      state.lastTaken.append(nil)
    }
  }

  // MARK: - From partitions

  /// Forgets what waits of a partition, and begins anew.
  ///
  /// - Returns: the epoch of what is offered from now on, permits to grant, and the last message that was taken.
  func reopen(_ partition: Int) -> (epoch: UInt64, permits: Int, lastTaken: MessageID?) {
    state.withLockedValue { state in
      state.items.removeAll { $0.partition == partition }
      let permits = state.permits[partition].opened()
      return (state.permits[partition].epoch, permits, state.lastTaken[partition])
    }
  }

  /// Forgets what waits of a partition while the consumer stays open; the permits are given back.
  func drop(_ partition: Int) {
    let grant = state.withLockedValue { state -> Int? in
      let before = state.items.count
      state.items.removeAll { $0.partition == partition }
      return state.permits[partition].free(before - state.items.count, epoch: state.permits[partition].epoch)
    }
    if let grant { onPermits(partition, grant) }
  }

  func forgetLastTaken(_ partition: Int) {
    state.withLockedValue { $0.lastTaken[partition] = nil }
  }

  func lastTaken(_ partition: Int) -> MessageID? {
    state.withLockedValue { $0.lastTaken[partition] }
  }

  /// Hands messages over; `dropped` counts those that the broker sent and that are not among them.
  func offer(_ messages: [ReceivedMessage], dropped: Int, partition: Int, epoch: UInt64) {
    guard !messages.isEmpty || dropped > 0 else { return }
    var ready: [(CheckedContinuation<ReceivedMessage?, any Error>, ReceivedMessage)] = []
    let grant = state.withLockedValue { state -> Int? in
      guard epoch == state.permits[partition].epoch else { return nil }
      var grant = dropped > 0 ? state.permits[partition].free(dropped, epoch: epoch) : nil
      for message in messages {
        let item = Item(partition: partition, epoch: epoch, message: message)
        if let waiter = state.waiters.popFirst() {
          if let more = state.account(item) { grant = (grant ?? 0) + more }
          ready.append((waiter.continuation, message))
        } else {
          state.items.append(item)
        }
      }
      return grant
    }
    for (continuation, message) in ready { continuation.resume(returning: message) }
    if let grant { onPermits(partition, grant) }
  }

  /// Ends it: waiting tasks fail, and so does every later wait once the queue is empty.
  func fail(_ error: PulsarClientError) {
    let waiters = state.withLockedValue { state in
      if state.failure == nil { state.failure = error }
      if error == .closed { state.items.removeAll() }
      defer { state.waiters.removeAll() }
      return state.waiters
    }
    for waiter in waiters { waiter.continuation.resume(throwing: error) }
  }

  // MARK: - From receivers

  var isEmpty: Bool { state.withLockedValue { $0.items.isEmpty } }

  /// What is there, up to a number; does not wait.
  func takeAvailable(atMost count: Int) -> [ReceivedMessage] {
    var grants: [(Int, Int)] = []
    let messages = state.withLockedValue { state in
      var messages: [ReceivedMessage] = []
      while messages.count < count, let (message, partition, grant) = state.take() {
        messages.append(message)
        if let grant { grants.append((partition, grant)) }
      }
      return messages
    }
    for (partition, grant) in grants { onPermits(partition, grant) }
    return messages
  }

  /// The next message; `nil` if none came in time.
  func next(timeout: TimeAmount?, on loop: any EventLoop) async throws -> ReceivedMessage? {
    if let message = takeAvailable(atMost: 1).first { return message }
    if let timeout, timeout <= .zero { return nil }
    let id = state.withLockedValue { state in
      state.nextWaiter += 1
      return state.nextWaiter
    }
    return try await withTaskCancellationHandler {
      var timer: Scheduled<Void>?
      defer { timer?.cancel() }
      return try await withCheckedThrowingContinuation { continuation in
        wait(id, continuation)
        timer = timeout.map { timeout in loop.scheduleTask(in: timeout) { self.expire(id) } }
      }
    } onCancel: {
      cancel(id)
    }
  }

  private func wait(_ id: UInt64, _ continuation: CheckedContinuation<ReceivedMessage?, any Error>) {
    enum Decision {
      case wait
      case message(ReceivedMessage, Int, Int?)
      case fail(any Error)
    }
    let decision = state.withLockedValue { state -> Decision in
      if state.cancelled.remove(id) != nil { return .fail(CancellationError()) }
      if let (message, partition, grant) = state.take() { return .message(message, partition, grant) }
      if let failure = state.failure { return .fail(failure) }
      state.waiters.append(Waiter(id: id, continuation: continuation))
      return .wait
    }
    switch decision {
    case .wait: break
    case .fail(let error): continuation.resume(throwing: error)
    case .message(let message, let partition, let grant):
      continuation.resume(returning: message)
      if let grant { onPermits(partition, grant) }
    }
  }

  private func expire(_ id: UInt64) {
    remove(id)?.resume(returning: nil)
  }

  private func cancel(_ id: UInt64) {
    let continuation = state.withLockedValue { state -> CheckedContinuation<ReceivedMessage?, any Error>? in
      if let index = state.waiters.firstIndex(where: { $0.id == id }) {
        return state.waiters.remove(at: index).continuation
      }
      state.cancelled.insert(id)
      return nil
    }
    continuation?.resume(throwing: CancellationError())
  }

  private func remove(_ id: UInt64) -> CheckedContinuation<ReceivedMessage?, any Error>? {
    state.withLockedValue { state in
      guard let index = state.waiters.firstIndex(where: { $0.id == id }) else { return nil }
      return state.waiters.remove(at: index).continuation
    }
  }
}

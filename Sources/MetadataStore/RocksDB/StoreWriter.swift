import NIOConcurrencyHelpers
import NIOPosix
import RocksDB

/// Applies requests to the database in the order of their arrival, on one thread of its own. Requests that arrive while
/// a write is being synced are decided together and share the next sync.
final class StoreWriter: @unchecked Sendable {
  typealias Completion = @Sendable (StoreAnswer) -> Void

  private struct Queue {
    var waiting: [(request: StoreRequest, completion: Completion?)] = []
    var isDraining = false
    var isClosed = false
  }

  /// Requests that share one sync, at most.
  private static let groupLimit = 1024

  private let database: RocksDatabase
  private let thread: NIOThreadPool
  private let hub: WatchHub
  private let queue = NIOLockedValueBox(Queue())
  /// Numbers that may be handed out without a write.
  private let blocks = NIOLockedValueBox<[String: SequenceBlock]>([:])
  // The members below are touched on the thread only.
  private var state: StoreState
  private var failure: MetadataError?
  /// What the last group made of the state, when its write failed for want of space and may have been made all the same.
  private var doubt: (state: StoreState, group: StoreState.Group)?
  private var syncedWrites = 0

  init(database: RocksDatabase, thread: NIOThreadPool, hub: WatchHub, state: StoreState) {
    self.database = database
    self.thread = thread
    self.hub = hub
    self.state = state
  }

  /// A number that needs no write, if there is one.
  func takeNumber(_ name: String) -> Int64? {
    blocks.withLockedValue { $0[name]?.take() }
  }

  /// Decides the request and answers, on the thread, when its effects are durable and published.
  func submit(_ request: StoreRequest, _ completion: Completion?) {
    let (isClosed, mustStart) = queue.withLockedValue { queue -> (Bool, Bool) in
      guard !queue.isClosed else { return (true, false) }
      queue.waiting.append((request, completion))
      defer { queue.isDraining = true }
      return (false, !queue.isDraining)
    }
    if isClosed {
      completion?(.failed(.closed))
    } else if mustStart {
      thread.submit { _ in self.drain() }
    }
  }

  /// As `submit`, waiting for the answer; a refusal is thrown.
  func perform(_ request: StoreRequest) async throws -> StoreAnswer {
    let answer = await withCheckedContinuation { continuation in
      submit(request) { continuation.resume(returning: $0) }
    }
    if case .failed(let error) = answer { throw error }
    return answer
  }

  /// Takes no more requests, finishes those at hand, ends the leases, gives back unused numbers, and closes the database.
  /// - Returns: false when that was done before.
  func close() async -> Bool {
    let isFirst = queue.withLockedValue { queue in
      defer { queue.isClosed = true }
      return !queue.isClosed
    }
    guard isFirst else { return false }
    // Not `runIfActive`: the cancellation of the caller's task must not leave the store half closed.
    await withCheckedContinuation { continuation in
      thread.submit { _ in
        self.drain()
        self.finish()
        self.hub.finish()
        self.database.close()
        continuation.resume()
      }
    }
    return true
  }

  /// Number of writes that were synced so far, for tests of the grouping. Runs on the thread.
  func countSyncedWrites() async throws -> Int {
    try await thread.runIfActive { self.syncedWrites }
  }

  // MARK: On the thread

  private func drain() {
    while true {
      let next = queue.withLockedValue { queue -> [(request: StoreRequest, completion: Completion?)] in
        let next = Array(queue.waiting.prefix(Self.groupLimit))
        queue.waiting.removeFirst(next.count)
        queue.isDraining = !next.isEmpty
        return next
      }
      guard !next.isEmpty else { return }
      let answers = decide(next.map(\.request))
      for (entry, answer) in zip(next, answers) { entry.completion?(answer) }
    }
  }

  private func decide(_ requests: [StoreRequest]) -> [StoreAnswer] {
    do {
      try resolveDoubt()
    } catch {
      return requests.map { _ in .failed(.storage("\(error)")) }
    }
    let before = state
    var answers: [StoreAnswer] = []
    answers.reserveCapacity(requests.count)
    for request in requests {
      if let failure {
        answers.append(.failed(failure))
        continue
      }
      do {
        answers.append(
          try state.apply(request, stored: storedRecord, block: takeNumber, limit: storedLimit))
      } catch {
        // A read failed half-way through the decision: what it began must not be written.
        fail(error)
      }
    }
    if failure == nil {
      let group = state.takeGroup()
      do {
        try write(group)
        blocks.withLockedValue { $0.merge(group.blocks) { _, fresh in fresh } }
        hub.publish(group.events)
      } catch let error as RocksError where error.isOutOfSpace {
        if !error.isRefusal { doubt = (state, group) }
        state = before
        return requests.map { _ in .failed(.storage("\(error)")) }
      } catch {
        fail(error)
      }
    }
    // After a failure nothing is certain, refusals included: they may rest on changes of the same group.
    if let failure { return requests.map { _ in .failed(failure) } }
    return answers
  }

  private func fail(_ error: any Error) {
    if failure == nil { failure = .storage("\(error) It takes no more changes; reopen it.") }
  }

  /// Finds out whether the group in doubt was written, when the database takes changes again.
  private func resolveDoubt() throws {
    guard let (after, group) = doubt else { return }
    try database.recover()
    // A group without a new version changes a sequence at most: its numbers are skipped.
    if after.revision != state.revision, try storedRevision() == after.revision {
      state = after
      hub.publish(group.events)
    }
    doubt = nil
  }

  private func storedRevision() throws -> Int64 {
    try database.get(StoreEncoding.revision).map(StoreEncoding.integer) ?? 0
  }

  private func write(_ group: StoreState.Group) throws {
    guard !group.mutations.isEmpty else { return }
    let batch = RocksWriteBatch()
    for mutation in group.mutations {
      switch mutation {
      case .setRecord(let key, let record): batch.put(StoreEncoding.record(key), record.encoded)
      case .removeRecord(let key): batch.delete(StoreEncoding.record(key))
      case .bind(let lease, let key): batch.put(StoreEncoding.lease(lease, key), [])
      case .unbind(let lease, let key): batch.delete(StoreEncoding.lease(lease, key))
      case .setSequence(let name, let limit): batch.put(StoreEncoding.sequence(name), StoreEncoding.bytes(limit))
      }
    }
    batch.put(StoreEncoding.revision, StoreEncoding.bytes(state.revision))
    try database.write(batch, .synced)
    syncedWrites += 1
  }

  private func finish() {
    _ = decide(state.leases.keys.sorted().map { StoreRequest.endLease($0) })
    guard failure == nil else { return }
    let batch = RocksWriteBatch()
    for (name, block) in blocks.withLockedValue({ $0 }) {
      batch.put(StoreEncoding.sequence(name), StoreEncoding.bytes(block.next - 1))
    }
    // Were this write lost, numbers would be skipped, which is allowed.
    if !batch.isEmpty { try? database.write(batch, .synced) }
    blocks.withLockedValue { $0 = [:] }
  }

  private func storedRecord(_ key: String) throws -> StoredRecord? {
    try StoreEncoding.record(key).withUnsafeBytes { encoded in
      try database.withValue(of: encoded) { try RocksDBStore.decode($0, key) }
    }
  }

  private func storedLimit(_ name: String) throws -> Int64 {
    try database.get(StoreEncoding.sequence(name)).map(StoreEncoding.integer) ?? 0
  }
}

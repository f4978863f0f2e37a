import Logging
import NIOConcurrencyHelpers

/// Copies in doubt that readers, writers and recoveries came across, on their way to the metadata store, where auto-recovery
/// finds them. Gathers for a moment, so that a damaged bookie costs one write for each ledger and not for each entry.
final class RepairQueue: Sendable {
  private struct State {
    var pending: [LedgerID: [SuspectCopies]] = [:]
    var task: Task<Void, Never>?
    var isShutDown = false
  }

  /// Ledgers that wait at once, at most; further ones are found by the next audit.
  private static let maximumLedgers = 10_000
  private static let maximumAttempts = 20

  private let store: UnderReplicationStore
  private let delay: Duration
  private let logger: Logger
  private let state = NIOLockedValueBox(State())

  init(store: UnderReplicationStore, delay: Duration, logger: Logger) {
    self.store = store
    self.delay = delay
    self.logger = logger
  }

  /// The copies may be missing or damaged.
  func report(_ id: LedgerID, _ copies: SuspectCopies) {
    state.withLockedValue { state in
      guard !state.isShutDown, state.pending[id] != nil || state.pending.count < Self.maximumLedgers else { return }
      state.pending[id, default: []].append(copies)
      if let waiting = state.pending[id], waiting.count >= 64 { state.pending[id] = SuspectCopies.merged(waiting) }
      if state.task == nil { state.task = Task { await self.run() } }
    }
  }

  /// Writes what is waiting, once, and takes nothing more.
  func shutdown() async {
    let task = state.withLockedValue { state in
      state.isShutDown = true
      return state.task
    }
    task?.cancel()
    await task?.value
    await flush()
  }

  private func run() async {
    var attempts = 0
    while attempts < Self.maximumAttempts {
      do { try await Task.sleep(for: delay) } catch { break }
      if await flush() { attempts = 0 } else { attempts += 1 }
      let isDone = state.withLockedValue { state in
        guard state.pending.isEmpty else { return false }
        state.task = nil
        return true
      }
      if isDone { return }
    }
    state.withLockedValue { $0.task = nil }
  }

  /// Whether everything was written.
  @discardableResult
  private func flush() async -> Bool {
    let batch = state.withLockedValue { state in
      defer { state.pending = [:] }
      return state.pending
    }
    var isComplete = true
    for (id, copies) in batch.sorted(by: { $0.key < $1.key }) {
      do {
        try await store.mark(id) { $0.add(suspects: copies) }
      } catch {
        isComplete = false
        logger.warning(
          "A ledger with copies in doubt could not be marked; trying again.",
          metadata: ["ledger": "\(id)", "error": "\(error)"])
        state.withLockedValue { $0.pending[id, default: []] += copies }
      }
    }
    return isComplete
  }
}

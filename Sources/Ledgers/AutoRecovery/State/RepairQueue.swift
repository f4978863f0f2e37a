import Logging
import NIOConcurrencyHelpers
import NIOCore

/// Copies in doubt that readers, writers and recoveries came across, on their way to the metadata store, where auto-recovery
/// finds them. Gathers for a moment, so that a damaged bookie costs one write for each ledger and not for each entry; what
/// cannot be written is tried again until it can.
final class RepairQueue: Sendable {
  private struct Waiting {
    var copies: [SuspectCopies] = []
    /// The last report, to see whether there was another one since this was written.
    var report: UInt64 = 0
  }

  /// What was written of a ledger, and when.
  private struct Written {
    var copies: [SuspectCopies]
    var at: NIODeadline
  }

  private struct State {
    var pending: [LedgerID: Waiting] = [:]
    /// What was written of late.
    var written: [LedgerID: Written] = [:]
    var reports: UInt64 = 0
    var task: Task<Void, Never>?
    var isShutDown = false
  }

  /// Ledgers that wait at once beyond which only one range of each bookie is kept for further ones.
  private static let manyLedgers = 10_000
  private static let longestPause = Duration.seconds(30)
  /// How long what was written already waits if it is reported again.
  private static let repetition = TimeAmount.seconds(5)

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
      let ranges = state.pending.count < Self.manyLedgers ? 64 : 1
      var waiting = state.pending[id] ?? Waiting()
      waiting.copies.append(copies)
      state.reports += 1
      waiting.report = state.reports
      if waiting.copies.count >= ranges {
        waiting.copies = SuspectCopies.merged(waiting.copies, limit: ranges == 1 ? 1 : 256)
      }
      state.pending[id] = waiting
      if state.task == nil, !state.isShutDown { state.task = Task { await self.run() } }
    }
  }

  /// Writes what was reported of the ledger before this call: when it returns that is in the metadata store. What is
  /// reported meanwhile is not waited for, else who reads a ledger with many damaged copies would hold up its writer.
  func store(_ id: LedgerID) async throws(LedgerError) {
    guard let waiting = state.withLockedValue({ $0.pending[id] }) else { return }
    try await store.mark(id) { _ = $0.add(suspects: waiting.copies) }
    state.withLockedValue { state in
      state.written[id] = Written(copies: SuspectCopies.merged(waiting.copies), at: .now())
      if state.pending[id]?.report == waiting.report { state.pending[id] = nil }
    }
  }

  /// Writes what is waiting, once, and ends. What is reported later is lost.
  func shutdown() async {
    let task = state.withLockedValue { state in
      state.isShutDown = true
      return state.task
    }
    task?.cancel()
    await task?.value
    _ = await flush(state.withLockedValue { $0.pending.keys.sorted() })
  }

  /// The ledgers to write now. Who tries to read a damaged entry again and again reports it each time.
  private func due() -> [LedgerID] {
    let now = NIODeadline.now()
    return state.withLockedValue { state in
      state.written = state.written.filter { now - $0.value.at < Self.repetition }
      return state.pending.keys.sorted().filter { id in
        guard let written = state.written[id], let waiting = state.pending[id] else { return true }
        return SuspectCopies.merged(written.copies + waiting.copies) != written.copies
      }
    }
  }

  private func run() async {
    var pause = delay
    while true {
      do { try await Task.sleep(for: pause) } catch { return }
      pause = await flush(due()) ? delay : min(pause * 2, max(delay, Self.longestPause))
      let isDone = state.withLockedValue { state in
        guard state.pending.isEmpty else { return false }
        state.task = nil
        return true
      }
      if isDone { return }
    }
  }

  /// Whether everything was written.
  private func flush(_ ids: [LedgerID]) async -> Bool {
    var failures = 0
    for id in ids {
      do {
        try await store(id)
      } catch {
        failures += 1
        logger.warning(
          "A ledger with copies in doubt could not be marked; trying again.",
          metadata: ["ledger": "\(id)", "error": "\(error)"])
        // What is in the way of several is in the way of all.
        if failures == 3 { break }
      }
    }
    return failures == 0
  }
}

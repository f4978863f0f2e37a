import NIOConcurrencyHelpers
import NIOCore

/// The bytes that all handles of a client may read ahead together. Safe to use from any thread.
final class ReadAheadBudget: Sendable {
  private let limit: Int
  private let used = NIOLockedValueBox(0)

  init(limit: Int) { self.limit = limit }

  /// Bytes that are not taken.
  var room: Int { max(0, limit - used.withLockedValue { $0 }) }

  /// Bytes that are taken.
  var bytesInUse: Int { used.withLockedValue { $0 } }

  /// One handle holds so many bytes more, or fewer.
  func change(by bytes: Int) { used.withLockedValue { $0 += bytes } }
}

/// Reads of one handle, with ``LedgerReadAhead``. Confined to the loop.
final class SequentialReads: @unchecked Sendable {
  typealias Completion = (Result<[LedgerEntry], LedgerError>) -> Void
  /// Reads entries for real; calls its completion later, on the loop.
  typealias Read = (_ from: EntryID, _ through: EntryID, _ maxBytes: Int, @escaping Completion) -> Void

  private let eventLoop: any EventLoop
  private let budget: ReadAheadBudget
  private let read: Read
  private let lastEntry: () -> EntryID
  private var ahead: LedgerReadAhead
  private var actions: [LedgerReadAhead.Action] = []
  private var callers: [UInt64: Completion] = [:]
  private var nextID: UInt64 = 0
  private var reserved = 0
  private var isTimerScheduled = false

  /// - Parameters:
  ///   - lastEntry: the last entry that can be read now.
  ///   - read: must not hold the handle, and fails once that has gone.
  init(bookies: LoopBookies, lastEntry: @escaping () -> EntryID, read: @escaping Read) {
    eventLoop = bookies.eventLoop
    budget = bookies.readAheadBudget
    ahead = LedgerReadAhead(maximumBytes: bookies.configuration.readAheadBytesPerLedger)
    self.lastEntry = lastEntry
    self.read = read
  }

  deinit { budget.change(by: -reserved) }

  /// Reads for a caller, whose request must be one that can be answered.
  func read(from: EntryID, through: EntryID, maxBytes: Int, completion: @escaping Completion) {
    nextID += 1
    callers[nextID] = completion
    ahead.wanted(
      LedgerReadAhead.Request(id: nextID, from: from, through: through, maxBytes: maxBytes), last: lastEntry(),
      room: budget.room, now: .now(), &actions)
    perform()
  }

  /// Lets go of what was read ahead.
  func stop() {
    ahead.stop()
    settle()
  }

  private func perform() {
    let now = actions
    actions.removeAll(keepingCapacity: true)
    settle()
    for action in now {
      switch action {
      case .read(let request):
        // The caller must have its answer even if the handle goes meanwhile.
        read(request.from, request.through, request.maxBytes) { result in self.ended(request, result) }
      case .fetch(let id, let from, let through, let maxBytes):
        read(from, through, maxBytes) { result in self.fetched(id, try? result.get()) }
      case .answer(let id, let entries):
        let completion = callers.removeValue(forKey: id)
        eventLoop.assumeIsolated().execute { completion?(.success(entries)) }
      }
    }
  }

  private func ended(_ request: LedgerReadAhead.Request, _ result: Result<[LedgerEntry], LedgerError>) {
    let completion = callers.removeValue(forKey: request.id)
    if case .success(let entries) = result, let last = entries.last {
      ahead.readEnded(
        from: request.from, through: last.entryID, last: lastEntry(), room: budget.room, now: .now(), &actions)
      perform()
    }
    completion?(result)
  }

  private func fetched(_ id: UInt64, _ entries: [LedgerEntry]?) {
    ahead.fetched(id, entries, last: lastEntry(), room: budget.room, now: .now(), &actions)
    perform()
  }

  private func settle() {
    let held = ahead.heldBytes
    budget.change(by: held - reserved)
    reserved = held
    guard held > 0, !isTimerScheduled else { return }
    isTimerScheduled = true
    eventLoop.scheduleTask(in: .seconds(1)) { [weak self] in
      guard let self else { return }
      self.isTimerScheduled = false
      self.ahead.tick(now: .now())
      self.settle()
    }
  }
}

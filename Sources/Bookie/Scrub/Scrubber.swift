import Logging
import NIOCore

/// Reads every record that the index names, slowly, and reports those that cannot be read. Everything but the mailbox belongs
/// to its thread.
final class Scrubber: StorageWorker, @unchecked Sendable {
  enum Command {
    /// Begins a verification now; called when it is done.
    case trigger(@Sendable () -> Void)
    case close
  }

  /// Runs that are looked up at once.
  private static let lookUpSize = 16
  /// Time between two notes of how far a round is.
  private static let noteInterval = TimeAmount.seconds(60)
  /// Time until what could not be asked for is asked for again.
  private static let retryInterval = TimeAmount.seconds(10)

  let mailbox = Mailbox<Command>()
  private let storage: BookieStorage
  private let interval: TimeAmount
  private var pacer: Pacer
  private var due: NIODeadline?
  /// Where the next runs are looked up.
  private var place: LocationPlace?
  /// Runs that were looked up, and are next.
  private var runs: ArraySlice<(ledgerID: Int64, run: LocationRun)> = []
  /// When the round began, in milliseconds since 1970.
  private var beginMs: Int64 = 0
  private var noted: NIODeadline
  /// Whether the index does not know yet since when the bookie waits.
  private var isNew = false
  /// When to go on, after something could not be asked for.
  private var retry: NIODeadline?
  private var callbacks: [@Sendable () -> Void] = []

  private var isRunning: Bool { place != nil || !runs.isEmpty }

  /// Goes on where it was when the bookie ended.
  init(storage: BookieStorage) {
    self.storage = storage
    interval = TimeAmount(storage.configuration.scrubInterval)
    pacer = Pacer(bytesPerSecond: storage.configuration.scrubRateByBytes)
    noted = storage.environment.now()
    isNew = false
    guard interval > .zero else { return }
    let now = storage.environment.wallClock()
    let known = try? storage.index.scrubRecord()
    beginMs = known?.beginMs ?? now
    place = known?.place
    let pause = ScrubRecord(beginMs: beginMs).pause(intervalMs: interval.nanoseconds / 1_000_000, nowMs: now)
    due = storage.environment.now() + .milliseconds(pause)
    isNew = known == nil
  }

  func turn() -> WorkerTurn {
    guard let commands = mailbox.take() else { return end() }
    for command in commands {
      switch command {
      case .trigger(let done):
        // A round that goes on by itself may have begun long ago.
        if callbacks.isEmpty { begin() }
        callbacks.append(done)
      case .close: return end()
      }
    }
    if !commands.isEmpty { return .again }
    let now = storage.environment.now()
    if let pause = pacer.pause(now: now) { return .wait(until: pause) }
    if isRunning, let retry, retry > now { return .wait(until: retry) }
    if isRunning {
      advance(now)
      return .again
    }
    guard let due, due <= now else {
      guard isNew else { return .wait(until: due) }
      // Not at the start, when there is other work.
      guard now - noted >= Self.noteInterval else { return .wait(until: noted + Self.noteInterval) }
      note()
      return .again
    }
    begin()
    return .again
  }

  private func end() -> WorkerTurn {
    if isRunning { note() }
    callbacks.forEach { $0() }
    callbacks = []
    return .ended
  }

  private func begin() {
    place = LocationPlace()
    runs = []
    retry = nil
    beginMs = storage.environment.wallClock()
    if interval > .zero { due = storage.environment.now() + interval }
    note()
  }

  /// Notes how far it is.
  private func note() {
    noted = storage.environment.now()
    guard interval > .zero else { return }
    isNew = false
    let next = runs.first.map { LocationPlace(ledgerID: $0.ledgerID, entryID: $0.run.last) } ?? place
    storage.flusher?.submit(.note(ScrubRecord(beginMs: beginMs, place: next)))
  }

  /// One run, or a look for more of them. What cannot be asked for now is not passed over: a round that is done has seen all.
  private func advance(_ now: NIODeadline) {
    do throws(BookieError) {
      if let (ledgerID, run) = runs.first {
        try verify(run, ledgerID)
        runs.removeFirst()
        if isRunning, now - noted >= Self.noteInterval { note() }
      } else if let from = place {
        let (found, next) = try storage.index.runs(after: from, limit: Self.lookUpSize)
        runs = found[...]
        place = next
      }
      retry = nil
    } catch {
      // Once for each time that it fails in a row.
      if retry == nil {
        storage.logger.warning("The verification cannot go on; trying again.", metadata: ["error": "\(error)"])
      }
      retry = now + Self.retryInterval
    }
    if isRunning { return }
    note()
    storage.state.withLockedValue { $0.statistics.scrubs += 1 }
    callbacks.forEach { $0() }
    callbacks = []
  }

  private func verify(_ run: LocationRun, _ ledgerID: Int64) throws(BookieError) {
    let reading = try RunReading(run, ledgerID: ledgerID, storage: storage)
    pacer.spent(run.byteCount, now: storage.environment.now())
    let damaged = reading.confirmedDamage(storage)
    let count = Int64(damaged.count)
    storage.state.withLockedValue { state in
      state.statistics.scrubbedEntries += Int64(run.items.count)
      state.statistics.scrubbedBytes += Int64(run.byteCount)
      state.statistics.scrubDamage += count
    }
    if storage.damage.count > 0 {
      for piece in reading.whole { storage.damage.remove(ledgerID, piece.run.items.lazy.map(\.entryID)) }
    }
    storage.report(ledgerID, damaged, log: run.logID)
  }
}

extension BookieStorage {
  /// Entries were found that cannot be read: they are remembered, and whoever wants to know is told, once.
  func report(_ ledgerID: Int64, _ entryIDs: [Int64], log: UInt32?) {
    let news = damage.add(ledgerID, entryIDs)
    guard !news.isEmpty else { return }
    logger.error(
      "Entries are damaged; another replica must restore them.",
      metadata: [
        "ledger": "\(ledgerID)", "first": "\(news[0])", "count": "\(news.count)",
        "log": "\(log.flatMap { logs.path($0) } ?? "unknown")",
      ])
    configuration.onDamage?(DamagedEntries(ledgerID: ledgerID, entryIDs: news))
  }
}

extension Flusher {
  /// Puts into the index how far verification is. If that fails, a part of the round is made again after a restart.
  func note(_ record: ScrubRecord) {
    let batch = LocationIndex.Batch()
    storage.index.put(record, batch)
    do {
      try storage.index.write(batch)
    } catch {
      storage.logger.warning("How far verification is cannot be noted.", metadata: ["error": "\(error)"])
    }
  }
}

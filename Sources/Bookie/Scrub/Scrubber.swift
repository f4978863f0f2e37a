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

  let mailbox = Mailbox<Command>()
  private let storage: BookieStorage
  private let interval: TimeAmount
  private var pacer: Pacer
  private var due: NIODeadline?
  private var place: LocationPlace?
  private var callbacks: [@Sendable () -> Void] = []

  init(storage: BookieStorage) {
    self.storage = storage
    interval = TimeAmount(storage.configuration.scrubInterval)
    pacer = Pacer(bytesPerSecond: storage.configuration.scrubRateByBytes)
    due = interval > .zero ? storage.environment.now() + interval : nil
  }

  func turn() -> WorkerTurn {
    guard let commands = mailbox.take() else { return end() }
    for command in commands {
      switch command {
      case .trigger(let done):
        callbacks.append(done)
        if place == nil { begin() }
      case .close: return end()
      }
    }
    if !commands.isEmpty { return .again }
    let now = storage.environment.now()
    if let pause = pacer.pause(now: now) { return .wait(until: pause) }
    if let place {
      advance(place)
      return .again
    }
    guard let due, due <= now else { return .wait(until: due) }
    begin()
    return .again
  }

  private func end() -> WorkerTurn {
    callbacks.forEach { $0() }
    callbacks = []
    return .ended
  }

  private func begin() {
    place = LocationPlace()
    if interval > .zero { due = storage.environment.now() + interval }
  }

  private func advance(_ from: LocationPlace) {
    do throws(BookieError) {
      let (runs, next) = try storage.index.runs(after: from, limit: 16)
      for (ledgerID, run) in runs { verify(run, ledgerID) }
      place = next
      guard next == nil else { return }
    } catch {
      storage.logger.error("The index cannot be read; the verification ends early.", metadata: ["error": "\(error)"])
      place = nil
    }
    storage.state.withLockedValue { $0.statistics.scrubs += 1 }
    callbacks.forEach { $0() }
    callbacks = []
  }

  private func verify(_ run: LocationRun, _ ledgerID: Int64) {
    let reading: RunReading
    do throws(BookieError) {
      reading = try RunReading(run, ledgerID: ledgerID, storage: storage)
    } catch {
      storage.logger.warning("Entries cannot be verified now.", metadata: ["error": "\(error)"])
      return
    }
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

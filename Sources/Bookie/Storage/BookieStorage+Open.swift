import BookieWire
import Logging
import NIOCore

extension BookieStorage {
  /// Opens the directories, replays the journals, and begins; what they held is flushed later, as other entries are. Blocks.
  static func open(
    configuration: BookieConfiguration, logger: Logger, onFailure: @escaping @Sendable (String) -> Void
  ) throws(BookieError) -> BookieStorage {
    let environment = configuration.environment
    let marks = try CheckpointFile.read(configuration: configuration)
    let logs = try EntryLogs(directories: configuration.ledgerDirectories, environment: environment)
    let index = try LocationIndex.open(configuration: configuration, marks: marks, hasLogs: logs.count > 0)
    do throws(BookieError) {
      return try open(configuration, marks, logs, index, logger, onFailure)
    } catch {
      index.close()
      throw LocationIndex.explained(error, configuration)
    }
  }

  private static func open(
    _ configuration: BookieConfiguration, _ marks: [JournalMark], _ logs: EntryLogs, _ index: LocationIndex,
    _ logger: Logger, _ onFailure: @escaping @Sendable (String) -> Void
  ) throws(BookieError) -> BookieStorage {
    var state = State(
      cache: WriteCache(capacity: configuration.writeCacheSize),
      tracker: CheckpointTracker(marks: marks, maximumFailures: configuration.maximumFlushFailures),
      disks: DiskWatch(
        thresholds: configuration.diskThresholds, journals: configuration.journalDirectories,
        ledgers: configuration.ledgerDirectories, isAnyEnough: configuration.readOnlyModeOnAnyDiskFull),
      waiting: WaitingAdds(
        journals: configuration.journalDirectories.count, limit: configuration.maximumWaitingBytes,
        patience: TimeAmount(configuration.maximumThrottleTime)),
      urgentWaiting: WaitingAdds(
        journals: configuration.journalDirectories.count, limit: configuration.maximumWaitingBytes / 4,
        patience: TimeAmount(configuration.maximumThrottleTime)))
    try index.forEachLedger { state.table.load($0, $1) }
    state.table.load(try index.unknownLedgers())

    let storage = BookieStorage(
      configuration: configuration, state: state, index: index, logs: logs, usage: LogUsage(try index.usage()),
      marks: marks, logger: logger, onFailure: onFailure)
    storage.checkDisks()
    let flusher = Flusher(storage: storage)
    try storage.replayJournals(from: marks, flusher)
    try storage.start(flusher: flusher)
    return storage
  }

  /// How far the limbo goes, if it was entered at this start and nobody knows yet which ledgers there were.
  var hasUnboundedLimbo: Bool { state.withLockedValue { $0.table.limbo == .through(Int64.max) } }

  /// No ledger above `ledgerID` existed when the journal was damaged.
  func boundLimbo(through ledgerID: Int64) {
    state.withLockedValue { $0.table.boundLimbo(through: ledgerID) }
  }
}

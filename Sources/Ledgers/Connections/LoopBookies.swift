import Logging
import NIOCore

/// The connections of one event loop, one per bookie, shared by the ledgers on that loop. Confined to `eventLoop`.
final class LoopBookies: @unchecked Sendable {
  let eventLoop: any EventLoop
  let directory: BookieDirectory
  let configuration: LedgerClientConfiguration
  let logger: Logger
  let repairs: RepairQueue
  /// What was done on this loop.
  var figures = LedgerClientStatistics()
  let readAheadBudget: ReadAheadBudget
  /// How bookies answer reads.
  var health: BookieReadHealth
  private var decayAt = NIODeadline.now()
  private var slowBookies: SlowBookies
  private var judgeAt = NIODeadline.now()
  private var forgetAt = NIODeadline.now() + .seconds(10)
  private var writers: [LedgerID: WeakWriter] = [:]
  private var isCheckScheduled = false
  private var connections: [String: BookieConnection] = [:]
  private var isShutDown = false

  private struct WeakWriter {
    weak var ledger: WritableLedger?
  }

  init(
    eventLoop: any EventLoop, directory: BookieDirectory, configuration: LedgerClientConfiguration,
    repairs: RepairQueue, readAheadBudget: ReadAheadBudget, logger: Logger
  ) {
    self.eventLoop = eventLoop
    self.readAheadBudget = readAheadBudget
    self.directory = directory
    self.configuration = configuration
    self.repairs = repairs
    self.logger = logger
    health = BookieReadHealth(maximumOutstanding: configuration.readReorderThresholdPendingRequests)
    slowBookies = SlowBookies(
      SlowBookies.Limits(
        factor: Int64(configuration.slowBookieLatencyFactor), floor: configuration.slowBookieLatencyFloor,
        patience: configuration.slowBookiePatience))
  }

  // MARK: Reads

  /// After how long a second replica is asked.
  func speculativeDelay() -> TimeAmount {
    health.speculativeDelay(
      percentile: configuration.speculativeReadPercentile, shortest: configuration.shortestSpeculativeReadDelay,
      longest: configuration.speculativeReadDelay)
  }

  /// Which bookies that hold entries of the range should be asked later than others.
  func readRanks(_ metadata: LedgerMetadata, _ from: EntryID, _ through: EntryID) -> [String: Int] {
    guard configuration.reorderReadSequenceEnabled else { return [:] }
    let now = NIODeadline.now()
    if decayAt <= now {
      decayAt = now + .seconds(1)
      health.decay()
    }
    var bookies: [String] = []
    for (index, segment) in metadata.segments.enumerated() where segment.firstEntry <= through {
      let isLast = index + 1 == metadata.segments.count
      guard isLast || metadata.segments[index + 1].firstEntry > from else { continue }
      bookies += segment.ensemble
    }
    let registered = directory.registered
    return health.ranks(of: bookies, suspects: directory.suspects) { bookie in
      // Before the first look at the registrations nothing is known.
      registered.isEmpty || registered[bookie] != nil
    }
  }

  // MARK: Writers

  /// Remembers who writes on this loop, to tell it of bookies that went.
  func add(_ ledger: WritableLedger) {
    eventLoop.assertInEventLoop()
    writers[ledger.id] = WeakWriter(ledger: ledger)
  }

  /// The writer is closed.
  func remove(_ id: LedgerID) {
    eventLoop.assertInEventLoop()
    writers[id] = nil
  }

  /// Bookies came or went. Those that are still away after a while are replaced in all ledgers that are being written.
  func membershipChanged() {
    eventLoop.assertInEventLoop()
    guard !isCheckScheduled, !isShutDown else { return }
    isCheckScheduled = true
    eventLoop.scheduleTask(in: configuration.lostBookieGracePeriod) {
      self.isCheckScheduled = false
      self.replaceLostBookies()
    }
  }

  /// Looks, not more often than is worth while, whether bookies have become so slow that ledgers on this loop are better
  /// off with others, where there are any. To be called while something is being written.
  func replaceSlowBookies() {
    let now = NIODeadline.now()
    guard judgeAt <= now, !isShutDown else { return }
    judgeAt = now + .nanoseconds(max(1_000_000, configuration.slowBookiePatience.nanoseconds / 4))
    var latencies: [String: TimeAmount] = [:]
    for (bookie, connection) in connections { latencies[bookie] = connection.addLatency(now: now) }
    if forgetAt <= now {
      forgetAt = now + .seconds(10)
      for connection in connections.values { connection.forgetAddLatency() }
    }
    let slow = slowBookies.slow(latencies, now: now)
    guard !slow.isEmpty else { return }
    for ledger in writers.values.compactMap(\.ledger) {
      if !slow.isDisjoint(with: ledger.metadata.lastSegment.ensemble) { ledger.replace(slow: slow) }
    }
  }

  private func replaceLostBookies() {
    guard !isShutDown else { return }
    writers = writers.filter { $0.value.ledger != nil }
    let registered = directory.registered
    // With nobody registered it is the metadata store that has gone, not the bookies.
    guard !registered.isEmpty else { return }
    var isComplete = true
    for ledger in writers.values.compactMap(\.ledger) {
      let gone = Set(
        ledger.metadata.lastSegment.ensemble.filter { registered[$0] == nil || registered[$0]?.isDraining == true })
      if !gone.isEmpty, !ledger.replace(gone) { isComplete = false }
    }
    if !isComplete { membershipChanged() }
  }

  // MARK: Connections

  /// The connection to the bookie; it may not be established, or fail.
  func connection(to bookieID: String) -> BookieConnection {
    eventLoop.assertInEventLoop()
    if let known = connections[bookieID] { return known }
    let connection = BookieConnection(
      bookieID: bookieID, eventLoop: eventLoop, directory: directory, configuration: configuration, logger: logger)
    if isShutDown { connection.shutdown() }
    connections[bookieID] = connection
    return connection
  }

  /// Closes all connections; requests that are outstanding, and later ones, fail.
  func shutdown() {
    eventLoop.assertInEventLoop()
    isShutDown = true
    for ledger in writers.values.compactMap(\.ledger) { ledger.shutDown() }
    for connection in connections.values { connection.shutdown() }
  }
}

import Logging
import NIOCore

/// A reader's place in a topic's log: what it acknowledged, saved so that a crash costs at most a redelivery.
///
/// Confined to the log's loop: call synchronous members there only. `async` members can be called from anywhere.
public final class TopicCursor: @unchecked Sendable {
  /// The cursor's name.
  public let name: String
  /// Whether the state survives the log.
  public let isDurable: Bool
  /// The log.
  public let log: TopicLog
  /// Where the cursor's user reads next, if it says so: entries before it leave the tail cache early.
  public var readPosition = Position.earliest
  /// Whether somebody reads through it. The tail cache does not wait for a cursor that is not active.
  public var isActive = true

  private var state: CursorState
  private let store: CursorStore?
  private var rounds: SerialRounds?
  private var savedGeneration: UInt64
  private var savedMarkDelete: Position
  private var isSaveScheduled = false
  private var isStopped = false

  init(name: String, log: TopicLog, state: CursorState, store: CursorStore?) {
    self.name = name
    self.log = log
    self.state = state
    self.store = store
    self.isDurable = store != nil
    self.savedGeneration = state.generation
    self.savedMarkDelete = state.markDelete
    if let store {
      rounds = SerialRounds(executor: log.executor) { [weak self] in try await self?.saveNow(in: store) }
    }
  }

  // MARK: Questions

  /// Everything up to here is acknowledged.
  public var markDelete: Position {
    log.eventLoop.assertInEventLoop()
    return state.markDelete
  }

  /// The mark-delete position as it would be after a crash, at worst.
  public var safeMarkDelete: Position {
    log.eventLoop.assertInEventLoop()
    return isDurable ? min(savedMarkDelete, state.markDelete) : state.markDelete
  }

  /// Entries that are not acknowledged.
  public var backlogEntries: Int64 {
    log.eventLoop.assertInEventLoop()
    return state.backlog(in: log.chain)
  }

  /// Bytes from the first entry that is not acknowledged to the end, those acknowledged in between included.
  public var backlogSize: Int64 {
    log.eventLoop.assertInEventLoop()
    guard let first = log.chain.first(after: state.markDelete) else { return 0 }
    return log.chain.size(from: first)
  }

  /// How many ranges of entries are acknowledged beyond the mark-delete position.
  public var individuallyAcknowledgedRanges: Int {
    log.eventLoop.assertInEventLoop()
    return state.acknowledged.rangeCount
  }

  /// How many entries are acknowledged beyond the mark-delete position.
  public var individuallyAcknowledgedEntries: Int64 {
    log.eventLoop.assertInEventLoop()
    return state.acknowledged.count
  }

  /// Properties saved with the position.
  public var properties: [String: Int64] {
    get {
      log.eventLoop.assertInEventLoop()
      return state.properties
    }
    set {
      log.eventLoop.assertInEventLoop()
      state.setProperties(newValue)
      saveSoon()
    }
  }

  /// An opaque snapshot that is saved atomically with the mark-delete position.
  public var attachment: [UInt8]? {
    log.eventLoop.assertInEventLoop()
    return state.attachment
  }

  /// Whether the entry is acknowledged as a whole.
  public func isAcknowledged(_ position: Position) -> Bool {
    log.eventLoop.assertInEventLoop()
    return state.isAcknowledged(position)
  }

  /// The messages of a partly acknowledged batch that remain, as set bits; nil if none of the entry's is acknowledged.
  public func remainingBatchBits(_ position: Position) -> [Int64]? {
    log.eventLoop.assertInEventLoop()
    return state.partial[position]?.map { Int64(bitPattern: $0) }
  }

  // MARK: Acknowledging

  /// Acknowledges everything up to `position`. With `batchAckSet` (set bits: not acknowledged; words left out: zeros)
  /// only that part of the batch at `position`.
  ///
  /// The state changes at once and is saved within `markDeleteInterval`. Positions that do not exist are cut to the last
  /// entry before them.
  public func acknowledgeCumulative(_ position: Position, batchAckSet: [Int64]? = nil, batchSize: Int? = nil) {
    log.eventLoop.assertInEventLoop()
    if state.acknowledgeCumulative(position, batchAckSet: batchAckSet, batchSize: batchSize, in: log.chain) {
      saveSoon()
    }
  }

  /// Acknowledges one entry. With `batchAckSet` (set bits: not acknowledged; words left out: zeros) only that part of its
  /// batch. The state changes at once and is saved within `markDeleteInterval`.
  public func acknowledge(_ position: Position, batchAckSet: [Int64]? = nil, batchSize: Int? = nil) -> AckOutcome {
    log.eventLoop.assertInEventLoop()
    let outcome = state.acknowledge(position, batchAckSet: batchAckSet, batchSize: batchSize, in: log.chain)
    if outcome != .alreadyAcknowledged { saveSoon() }
    return outcome
  }

  /// Forgets all acknowledgements and makes `position` (or the first entry behind it) the next to be delivered.
  /// The state changes at once; it is durable when this returns.
  public func reset(to position: Position) async throws {
    try await log.executor.run {
      try log.requireOpen()
      state.reset(to: position, in: log.chain)
      readPosition = .earliest
      try await saveIfDurable()
    }
  }

  /// Acknowledges everything up to `position` and replaces the attachment, both or neither; durable when it returns.
  public func setMarkDelete(_ position: Position, attachment: [UInt8]?) async throws {
    try await log.executor.run {
      try log.requireOpen()
      state.acknowledgeCumulative(position, batchAckSet: nil, batchSize: nil, in: log.chain)
      state.setAttachment(attachment)
      try await saveIfDurable()
    }
  }

  /// Saves what changed; durable when it returns.
  public func flush() async throws {
    try await log.executor.run {
      try log.requireOpen()
      try await saveIfDurable()
    }
  }

  // MARK: Saving

  func create() async throws {
    try await store?.create(snapshot())
  }

  private func snapshot() -> CursorSnapshot {
    state.snapshot(
      maxRanges: log.configuration.maxUnackedRangesToPersist,
      maxPartial: log.configuration.maxBatchDeletedIndexToPersist)
  }

  private func saveSoon() {
    guard isDurable, !isSaveScheduled, !isStopped, state.generation != savedGeneration else { return }
    isSaveScheduled = true
    log.eventLoop.scheduleTask(in: TimeAmount(log.configuration.markDeleteInterval)) { [weak self] in
      guard let self else { return }
      self.isSaveScheduled = false
      guard !self.isStopped else { return }
      self.log.executor.start {
        do {
          try await self.saveIfDurable()
        } catch {
          self.log.logger.warning(
            "cannot save a cursor yet",
            metadata: ["topic": "\(self.log.name)", "cursor": "\(self.name)", "error": "\(error)"])
          self.saveSoon()
        }
      }
    }
  }

  private func saveIfDurable() async throws {
    guard state.generation != savedGeneration else { return }
    try await rounds?.request()
  }

  private func saveNow(in store: CursorStore) async throws {
    guard !isStopped else { throw log.endReason ?? .closed(topic: log.name) }
    let generation = state.generation
    guard generation != savedGeneration else { return }
    let mark = state.markDelete
    do {
      try await store.save(snapshot())
    } catch {
      // It may have been saved nevertheless: until a save succeeds, the worse of both counts.
      savedMarkDelete = min(savedMarkDelete, mark)
      throw error as? TopicLogError ?? .cursor(topic: log.name, cursor: name, reason: "\(error)")
    }
    savedGeneration = generation
    let before = savedMarkDelete
    savedMarkDelete = mark
    if before.ledgerID != mark.ledgerID || log.chain.segment(mark.ledgerID)?.lastPosition == mark { log.trimSoon() }
  }

  /// Saves the state where the next owner finds it without recovering a ledger. The last call.
  func saveFinally() async throws {
    guard let store, let rounds else { return }
    if state.generation != savedGeneration { try? await rounds.request() }
    isStopped = true
    if state.generation != savedGeneration || store.ledgerID >= 0 { try await store.saveFinally(snapshot()) }
  }

  func delete() async throws {
    isStopped = true
    guard let store, let rounds else { return }
    // Behind a save that is under way; a later one finds the cursor stopped.
    try? await rounds.request()
    do {
      try await store.delete()
    } catch {
      guard log.endReason == nil else { throw error }
      // Whether its record is gone is open: the next save writes all of it again.
      isStopped = false
      savedGeneration = .max
      saveSoon()
      throw error
    }
  }

  /// Saves nothing more.
  func stop() { isStopped = true }

  // MARK: Figures

  var stats: TopicLogStats.Cursor {
    let next = log.chain.next(after: state.markDelete)
    let shown = 1000
    var ranges = state.acknowledged.ranges(limit: shown + 1).prefix(shown).map {
      "(\($0.ledgerID):\($0.first - 1)..\($0.ledgerID):\($0.last)]"
    }
    if state.acknowledged.rangeCount > shown { ranges.append("...") }
    return .init(
      markDeletePosition: state.markDelete, readPosition: max(readPosition, next),
      messagesConsumedCounter: state.acknowledgedCounter, cursorLedger: store?.ledgerID ?? -1,
      cursorLedgerLastEntry: store?.lastEntry ?? -1,
      individuallyDeletedMessages: "[" + ranges.joined(separator: ",") + "]",
      lastLedgerSwitchTimestampMs: store?.lastSwitchMs ?? 0,
      state: isStopped ? "Closed" : (store?.ledgerID ?? -1) >= 0 ? "Open" : "NoLedger", active: isActive,
      numberOfEntriesSinceFirstNotAckedMessage: log.chain.entryCount(after: state.markDelete),
      totalNonContiguousDeletedMessagesRange: state.acknowledged.rangeCount, properties: state.properties)
  }
}

import DequeModule
import Ledgers
import Logging
import MetadataStore
import NIOCore

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#else
  import Darwin
#endif

/// A topic's log: a chain of ledgers that is appended to at one end and trimmed at the other.
///
/// Confined to `eventLoop`: call synchronous members there only. `async` members can be called from anywhere.
/// One broker at a time owns a log. Opening it takes it over: the previous owner's ledgers are fenced and closed, and
/// whatever that owner does afterwards fails with `TopicLogError.fenced`. `close` it when it is no longer used.
public final class TopicLog: @unchecked Sendable {
  /// Names an append listener.
  public struct ListenerID: Hashable, Sendable {
    let rawValue: UInt64
  }

  struct PendingAppend {
    let header: ByteBuffer
    let body: ByteBuffer
    let completion: (Result<Position, TopicLogError>) -> Void

    var size: Int { header.readableBytes + body.readableBytes }
  }

  /// The ledger that is made ready before the current one is full.
  enum Prepared {
    case none
    /// Created, and on its way into the topic's record.
    case listing(SegmentWriter)
    /// In the topic's record: entries in it count.
    case ready(SegmentWriter)

    var writer: SegmentWriter? {
      switch self {
      case .none: nil
      case .listing(let writer), .ready(let writer): writer
      }
    }
  }

  /// The topic's name, as given to `open`.
  public let name: String
  /// The loop on which the log lives.
  public let eventLoop: any EventLoop
  /// How the log works. Policies that change are set here, on the loop.
  public var configuration: TopicLogConfiguration
  /// Nothing at or behind this position is trimmed, whatever the cursors say; nil: no such limit.
  public var trimFloor: Position?
  /// Called once, on the loop, when the log ends other than by `close`, `terminate` or `delete`: open it again elsewhere.
  public var onFailure: ((TopicLogError) -> Void)?

  let provider: any LedgerProvider
  let metadata: any MetadataStore
  let cacheBudget: EntryCacheBudget
  let logger: Logger
  let keys: TopicKeys
  let executor: LoopTaskExecutor
  let openedAtMs: Int64

  // Ownership and the topic's record.
  let owner: UInt64
  var epoch: Int64 = 0
  var recordVersion: MetadataVersion?
  var createdAtMs: Int64 = 0
  var terminatedAt: Position?
  var isDeleting = false
  /// Properties of the topic's record.
  public internal(set) var properties: [String: String] = [:]
  /// Ledgers that left the log and still have to be deleted.
  var condemned: Set<Int64> = []
  var recordRounds: SerialRounds?

  // Appending.
  var chain = LedgerChain()
  var pipeline: AppendPipeline
  var pending: Deque<PendingAppend> = []
  var writer: SegmentWriter?
  var writerOpenedAt = NIODeadline.now()
  /// Results of an earlier writer are told by its number.
  var writerGeneration: UInt64 = 0
  var writerCallback: ((Result<Int64, LedgerError>) -> Void)?
  var inFlightBytes: Int64 = 0
  /// Full ledgers that are being closed.
  var retiring: [Int64: SegmentWriter] = [:]
  var prepared = Prepared.none
  var preparation: Task<Void, any Error>?
  var prepareAgainAt = NIODeadline.uptimeNanoseconds(0)
  var drainWaiters: [CheckedContinuation<Void, Never>] = []
  var batchTime = NIODeadline.uptimeNanoseconds(0)
  var isNotificationScheduled = false
  var listeners: [(id: ListenerID, call: () -> Void)] = []
  var nextListenerID: UInt64 = 1

  // Reading.
  var cache = TailCache()
  lazy var coldReads = ColdReads(log: self)
  var isEvictionScheduled = false
  /// While positive, the log is not trimmed.
  var trimHolds = 0
  var trimRounds: SerialRounds?

  // Cursors.
  /// The cursors by name, non-durable ones included.
  public internal(set) var cursors: [String: TopicCursor] = [:]
  var cursorsBeingMade: [String: Task<TopicCursor, any Error>] = [:]
  var cursorsBeingDeleted: [String: Task<Void, any Error>] = [:]

  // The end.
  /// Why the log takes no calls any more.
  var endReason: TopicLogError?
  var isClosing = false
  var maintenance: RepeatedTask?

  // Figures.
  var entriesAdded: Int64 = 0
  var cacheHits: Int64 = 0
  var cacheMisses: Int64 = 0
  var lastLedgerCreatedMs: Int64 = 0
  var lastLedgerFailureMs: Int64 = 0

  init(
    name: String, provider: any LedgerProvider, metadata: any MetadataStore, configuration: TopicLogConfiguration,
    cache: EntryCacheBudget, on eventLoop: any EventLoop, logger: Logger
  ) {
    self.name = name
    self.provider = provider
    self.metadata = metadata
    self.configuration = configuration
    self.cacheBudget = cache
    self.eventLoop = eventLoop
    self.logger = logger
    self.keys = TopicKeys(name: name)
    self.executor = LoopTaskExecutor(eventLoop)
    self.owner = UInt64.random(in: 1 ... .max)
    self.openedAtMs = wallClockMs()
    self.pipeline = AppendPipeline(maximumFailedLedgers: configuration.ledgerReplacementAttempts)
  }

  deinit {
    cacheBudget.release(cache.bytes)
  }

  // MARK: Positions

  /// The last entry that is stored; `Position.earliest` if nothing was ever written. It may have been trimmed since.
  public var lastConfirmed: Position {
    eventLoop.assertInEventLoop()
    return chain.lastConfirmed
  }

  /// The first entry that still exists, or nil.
  public var firstPosition: Position? {
    eventLoop.assertInEventLoop()
    return chain.firstPosition
  }

  /// Entries in the log.
  public var totalEntries: Int64 {
    eventLoop.assertInEventLoop()
    return chain.totalEntries
  }

  /// Bytes of payload in the log.
  public var totalSize: Int64 {
    eventLoop.assertInEventLoop()
    return chain.totalSize
  }

  /// Appends that are not confirmed yet.
  public var pendingAppends: Int {
    eventLoop.assertInEventLoop()
    return pipeline.queued
  }

  /// The last entry if the topic was terminated.
  public var terminatedPosition: Position? {
    eventLoop.assertInEventLoop()
    return terminatedAt
  }

  /// The position that follows `position`: the next entry, or the first place at which the next append can be.
  public func position(after position: Position) -> Position {
    eventLoop.assertInEventLoop()
    return chain.next(after: position)
  }

  /// The entry before `position`, or nil if none exists.
  public func position(before position: Position) -> Position? {
    eventLoop.assertInEventLoop()
    guard position.entryID > .min else { return nil }
    return chain.last(atOrBefore: Position(ledgerID: position.ledgerID, entryID: position.entryID - 1))
  }

  /// The first existing entry at or behind `position`, or nil.
  public func firstPosition(atOrAfter position: Position) -> Position? {
    eventLoop.assertInEventLoop()
    return chain.first(atOrAfter: position)
  }

  /// Whether the entry exists.
  public func contains(_ position: Position) -> Bool {
    eventLoop.assertInEventLoop()
    return chain.contains(position)
  }

  /// Entries that exist from `from` through `through`, both inclusive.
  public func entryCount(from: Position, through: Position) -> Int64 {
    eventLoop.assertInEventLoop()
    return chain.entryCount(from: from, through: through)
  }

  /// Bytes of the entries from `from` (inclusive) to the end: exact at ledger borders, by the mean size of its ledger's
  /// entries within one.
  public func sizeInBytes(from: Position) -> Int64 {
    eventLoop.assertInEventLoop()
    return chain.size(from: from)
  }

  // MARK: Listeners

  /// Calls `listener` on the loop once for each batch of confirmed appends.
  public func addAppendListener(_ listener: @escaping () -> Void) -> ListenerID {
    eventLoop.assertInEventLoop()
    let id = ListenerID(rawValue: nextListenerID)
    nextListenerID += 1
    listeners.append((id, listener))
    return id
  }

  /// Removes a listener.
  public func removeAppendListener(_ id: ListenerID) {
    eventLoop.assertInEventLoop()
    listeners.removeAll { $0.id == id }
  }

  // MARK: Helpers

  /// Throws if the log has ended.
  func requireOpen() throws(TopicLogError) {
    eventLoop.assertInEventLoop()
    if let endReason { throw endReason }
    if isClosing { throw .closed(topic: name) }
  }

  /// The pause before attempt number `attempt` (the first being 0, without one).
  func backoff(_ attempt: Int) async throws {
    guard attempt > 0 else { return }
    try await Task.sleep(for: configuration.ledgerReplacementBackoff * (1 << min(attempt - 1, 6)))
  }

  func ledgerOptions(_ base: LedgerOptions, cursor: String? = nil) -> LedgerOptions {
    var options = base
    options.customMetadata["application"] = Array("pulsar".utf8)
    options.customMetadata["component"] = Array("managed-ledger".utf8)
    options.customMetadata["pulsar/managed-ledger"] = Array(name.utf8)
    if let cursor { options.customMetadata["pulsar/cursor"] = Array(cursor.utf8) }
    return options
  }
}

/// Milliseconds since 1970.
func wallClockMs() -> Int64 {
  var time = timespec()
  clock_gettime(CLOCK_REALTIME, &time)
  return Int64(time.tv_sec) * 1000 + Int64(time.tv_nsec) / 1_000_000
}

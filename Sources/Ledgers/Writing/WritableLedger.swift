import BookieWire
import DequeModule
import Logging
import MetadataStore
import NIOCore

/// The one handle through which a ledger is written. Confined to `eventLoop`; only `close()` may be called anywhere.
public final class WritableLedger: @unchecked Sendable {
  private struct Outgoing {
    var bytes: EntryBytes
    var start: NIODeadline
    var completion: (Result<EntryID, LedgerError>) -> Void
  }

  /// The ledger's id.
  public let id: LedgerID
  /// The loop that all other members belong to, and on which completions run.
  public let eventLoop: any EventLoop

  let bookies: LoopBookies
  let store: LedgerMetadataStore
  let selector: EnsembleSelector
  private let codec: LedgerEntryCodec
  private let key: LedgerMasterKey
  let logger: Logger

  var current: LedgerMetadataStore.Versioned {
    didSet { view.replace(current.metadata) }
  }
  var writer: LedgerWriter
  var actions: [LedgerWriter.Action] = []
  private var isPerforming = false
  private var isTimerScheduled = false
  private var connections: [BookieConnection] = []
  /// From the first entry that is not confirmed on.
  private var outgoing = Deque<Outgoing>()
  var closing: EventLoopPromise<CloseResult>?
  private var lateCopiesUntil: NIODeadline?
  /// Whether all that may take long is being done so that places without a bookie get one.
  var isPreparing = false
  private let view: ReadMetadata
  private lazy var reads = SequentialReads(
    bookies: bookies, lastEntry: { [weak self] in self?.writer.lastAddConfirmed ?? -1 }
  ) { [weak self, id, eventLoop] from, through, maxBytes, completion in
    guard let self else { return eventLoop.failLater(.closed(id), completion) }
    self.readNow(from, through, maxBytes, completion)
  }

  init(
    id: LedgerID, metadata: LedgerMetadataStore.Versioned, bookies: LoopBookies, store: LedgerMetadataStore,
    selector: EnsembleSelector
  ) {
    self.id = id
    self.eventLoop = bookies.eventLoop
    self.bookies = bookies
    self.store = store
    self.selector = selector
    self.current = metadata
    self.view = ReadMetadata(id: id, metadata.metadata, store: store, eventLoop: bookies.eventLoop)
    self.codec = LedgerEntryCodec(digest: metadata.metadata.digest, password: metadata.metadata.password)
    self.key = LedgerMasterKey(password: metadata.metadata.password)
    var logger = bookies.logger
    logger[metadataKey: "ledger"] = "\(id)"
    self.logger = logger
    let configuration = bookies.configuration
    self.writer = LedgerWriter(
      ledgerID: id,
      striping: LedgerStriping(
        ensembleSize: metadata.metadata.ensembleSize, writeQuorum: metadata.metadata.writeQuorumSize,
        ackQuorum: metadata.metadata.ackQuorumSize),
      ensemble: metadata.metadata.lastSegment.ensemble, addTimeout: configuration.addEntryTimeout,
      quorumTimeout: configuration.addEntryQuorumTimeout, retryDelay: configuration.ensembleChangeRetryDelay)
  }

  // MARK: Appending

  /// Appends `header` followed by `body` as one entry; neither is copied. Completions run in the order of the appends,
  /// never within this call; after one failure every later append fails too. (An entry too large for a frame fails with
  /// ``LedgerError/invalidRequest(_:)`` and harms no other.)
  public func append(
    _ header: ByteBuffer, _ body: ByteBuffer, completion: @escaping (Result<EntryID, LedgerError>) -> Void
  ) {
    eventLoop.assertInEventLoop()
    if let failure = writer.failure { return eventLoop.failLater(failure, completion) }
    guard closing == nil else { return eventLoop.failLater(.closed(id), completion) }
    let size = header.readableBytes + body.readableBytes
    let limit = bookies.configuration.maximumFrameSize - 128
    guard size <= limit else {
      return eventLoop.failLater(
        .invalidRequest("an entry of \(size) bytes is larger than the limit of \(limit)."), completion)
    }
    let entryHeader = LedgerEntryHeader(
      ledgerID: id, entryID: writer.nextEntry, lastAddConfirmed: writer.lastAddConfirmed,
      length: writer.length + Int64(size))
    let now = NIODeadline.now()
    outgoing.append(Outgoing(bytes: codec.encode(entryHeader, header, body), start: now, completion: completion))
    _ = writer.append(size: size, now: now, &actions)
    perform()
  }

  /// The last entry that is acknowledged, with all before it; -1 if none.
  public var lastAddConfirmed: EntryID { writer.lastAddConfirmed }

  /// The last entry that was appended, acknowledged or not; -1 if none.
  public var lastAddPushed: EntryID { writer.nextEntry - 1 }

  /// Payload bytes appended so far, acknowledged or not.
  public var length: Int64 { writer.length }

  /// Payload bytes appended and not acknowledged yet.
  public var pendingBytes: Int { writer.pendingBytes }

  /// Why the ledger takes no more entries, if something went wrong.
  public var failure: LedgerError? { writer.failure }

  /// The ledger's metadata as this handle last wrote it.
  public var metadata: LedgerMetadata { current.metadata }

  // MARK: Reading

  /// Reads the entries `from` through `through`, both at most ``lastAddConfirmed``: a contiguous run that starts at
  /// `from`, has at least one entry, and ends early where `maxBytes` of payload are reached.
  public func read(
    from: EntryID, through: EntryID, maxBytes: Int, completion: @escaping (Result<[LedgerEntry], LedgerError>) -> Void
  ) {
    eventLoop.assertInEventLoop()
    if LedgerReads.isPossible(from: from, through: through, last: writer.lastAddConfirmed, maxBytes: maxBytes) {
      reads.read(from: from, through: through, maxBytes: maxBytes, completion: completion)
    } else {
      readNow(from, through, maxBytes, completion)
    }
  }

  private func readNow(
    _ from: EntryID, _ through: EntryID, _ maxBytes: Int, _ completion: @escaping SequentialReads.Completion
  ) {
    LedgerReads.start(
      view, codec: codec, bookies: bookies, from: from, through: through, last: writer.lastAddConfirmed,
      maxBytes: maxBytes, averageSize: Int(writer.confirmedLength / max(1, writer.lastAddConfirmed + 1)),
      completion: completion)
  }

  // MARK: Closing

  struct CloseResult: Sendable {
    var lastEntry: EntryID
    var length: Int64
  }

  /// Waits for outstanding appends, then closes the ledger for good. Later appends fail with ``LedgerError/closed(_:)``.
  /// After a failed append the ledger is closed at the last acknowledged entry. Throws ``LedgerError/fenced(_:)`` if
  /// somebody else has taken the ledger over: then that client decides where it ends.
  public func close() async throws -> (lastEntry: EntryID, length: Int64) {
    let result = try await eventLoop.flatSubmit { () -> EventLoopFuture<CloseResult> in
      if let closing = self.closing { return closing.futureResult }
      let promise = self.eventLoop.makePromise(of: CloseResult.self)
      self.closing = promise
      self.closeWhenIdle()
      return promise.futureResult
    }.get()
    return (result.lastEntry, result.length)
  }

  private var hasStartedClosing = false

  private func closeWhenIdle() {
    guard let closing, !hasStartedClosing else { return }
    switch writer.failure {
    case .fenced?, .unauthorized?, .noSuchLedger?:
      hasStartedClosing = true
      closing.fail(writer.failure ?? LedgerError.fenced(id))
      return
    case nil where !writer.isIdle: return
    default: break
    }
    guard !waitsForLateCopies() else { return }
    hasStartedClosing = true
    let result = CloseResult(lastEntry: writer.lastAddConfirmed, length: writer.confirmedLength)
    let start = current
    writer.finish(&actions)
    perform()
    Task { [self] in
      do {
        // Once it is closed nobody looks for what is missing, unless it is marked.
        try await bookies.repairs.store(id)
        let closed = try await store.close(id, lastEntry: result.lastEntry, length: result.length, over: start)
        eventLoop.execute {
          self.current = closed
          self.bookies.remove(self.id)
          closing.succeed(result)
        }
      } catch {
        closing.fail(error)
      }
    }
  }

  /// A bookie that is just behind is waited for, for a moment, so that its copies need not be looked at.
  private func waitsForLateCopies() -> Bool {
    guard writer.hasLateCopies, writer.failure == nil else { return false }
    if let lateCopiesUntil { return NIODeadline.now() < lateCopiesUntil }
    let patience = bookies.configuration.lateCopiesDelay
    lateCopiesUntil = .now() + patience
    eventLoop.scheduleTask(in: patience) { self.closeWhenIdle() }
    return true
  }

  /// The client ends.
  func shutDown() {
    eventLoop.assertInEventLoop()
    writer.shutDown(&actions)
    perform()
  }

  // MARK: Carrying out

  func perform() {
    guard !isPerforming else { return }
    isPerforming = true
    var next = 0
    while next < actions.count {
      let action = actions[next]
      next += 1
      switch action {
      case .send(let entry, let slot, let generation): send(entry, slot, generation)
      case .confirm(let through): confirm(through: through)
      case .changeEnsemble(let change): changeEnsemble(change)
      case .lookForBookies: lookForBookies()
      case .incomplete(let copies): bookies.repairs.report(id, copies)
      case .fail(_, let error): fail(error)
      }
    }
    actions.removeAll(keepingCapacity: true)
    isPerforming = false
    scheduleTimer()
    if closing != nil { closeWhenIdle() }
  }

  private func send(_ entry: EntryID, _ slot: Int, _ generation: UInt32) {
    if connections.isEmpty { connect() }
    // Entries confirmed by an earlier action of the same batch are not waited for any more.
    let index = entry - firstOutgoing
    guard index >= 0, index < Int64(outgoing.count) else { return }
    connections[slot].add(
      outgoing[Int(index)].bytes, ledgerID: id, entryID: entry, flags: [], key: key, receiver: self, slot: slot,
      generation: generation)
  }

  private var firstOutgoing: EntryID = 0

  private func confirm(through entry: EntryID) {
    let now = NIODeadline.now()
    while firstOutgoing <= entry, let done = outgoing.popFirst() {
      let confirmed = firstOutgoing
      firstOutgoing += 1
      bookies.figures.adds.latency.record(nanoseconds: (now - done.start).nanoseconds)
      done.completion(.success(confirmed))
    }
  }

  private func fail(_ error: LedgerError) {
    logger.warning("Writing to a ledger failed.", metadata: ["error": "\(error)", "pending": "\(outgoing.count)"])
    while let lost = outgoing.popFirst() {
      firstOutgoing += 1
      bookies.figures.adds.failures += 1
      lost.completion(.failure(error))
    }
  }

  func connect() {
    connections = writer.ensemble.map { bookies.connection(to: $0) }
  }

  private func scheduleTimer() {
    guard !isTimerScheduled, writer.needsTicks else { return }
    isTimerScheduled = true
    let configuration = bookies.configuration
    var period = max(1_000_000, configuration.addEntryTimeout.nanoseconds / 10)
    if configuration.slowBookieLatencyFactor > 0 {
      period = min(period, max(1_000_000, configuration.slowBookiePatience.nanoseconds / 2))
    }
    eventLoop.scheduleTask(in: .nanoseconds(period)) {
      self.isTimerScheduled = false
      self.writer.tick(now: .now(), &self.actions)
      self.perform()
      self.bookies.replaceSlowBookies()
    }
  }
}

extension WritableLedger: BookieAddReceiver {
  func addAnswered(_ entry: EntryID, slot: Int, generation: UInt32, _ code: BookieReturnCode?) {
    if code == .ok {
      writer.acknowledged(entry, slot: slot, generation: generation, &actions)
    } else {
      let failure = LedgerWriter.Failure(code)
      writer.failed(entry, slot: slot, generation: generation, failure, &actions)
      scheduleTimer()
    }
    if !actions.isEmpty || closing != nil { perform() }
  }
}

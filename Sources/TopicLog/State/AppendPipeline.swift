/// Decides what happens to appends while ledgers open, fill up, fail and are replaced.
///
/// Appends form one queue. Its front part is in flight: sent to the one ledger that is written. The rest waits. Only the
/// front can be confirmed. A new ledger gets entries only when the one before it has no entry in flight whose fate is
/// open: that is what keeps the order and stores no entry twice.
struct AppendPipeline: Sendable {
  /// What the log is doing for its appends.
  enum Phase: Equatable, Sendable {
    /// No ledger is open; the first append opens one.
    case idle
    /// A ledger is being created; appends wait.
    case opening
    /// Appends are sent as they come.
    case writing
    /// The ledger is full; appends wait for those in flight, then the next ledger is taken.
    case draining
    /// The ledger failed; appends wait until it is closed and known.
    case replacing
    /// The end: nothing is queued any more.
    case stopped
  }

  /// What the owner is to do.
  enum Action: Equatable, Sendable {
    case nothing
    /// Send the next `count` waiting entries to the ledger; they are the last of those in flight.
    case send(count: Int)
    /// Have a ledger opened and report `ledgerOpened` or `openingFailed`.
    case openLedger
    /// Go over to the prepared ledger and report `ledgerOpened`.
    case rollOver
    /// Close the failed ledger, find out what it holds, report `failedLedgerClosed` or `closingFailed`.
    case closeFailedLedger
    /// Refuse the append at hand.
    case refuse(TopicLogError)
    /// Fail everything that was in the queue, in order.
    case failAll(TopicLogError)
  }

  private(set) var phase = Phase.idle
  /// Why no append is taken any more; those in the queue go on.
  private(set) var refusal: TopicLogError?
  /// Entries at the front of the queue that the current ledger has got.
  private(set) var inFlight = 0
  /// Entries behind them.
  private(set) var waiting = 0
  /// Ledgers that failed one after the other without confirming an entry.
  private(set) var failedLedgers = 0
  private let maximumFailedLedgers: Int

  init(maximumFailedLedgers: Int) {
    self.maximumFailedLedgers = max(1, maximumFailedLedgers)
  }

  var queued: Int { inFlight + waiting }

  /// An append came in. `.send` means: send it now (nothing else waits).
  @inline(__always)
  mutating func append() -> Action {
    if let refusal { return .refuse(refusal) }
    switch phase {
    case .writing:
      inFlight += 1
      return .send(count: 1)
    case .idle:
      waiting += 1
      phase = .opening
      return .openLedger
    case .opening, .draining, .replacing, .stopped:
      waiting += 1
      return .nothing
    }
  }

  /// A ledger is ready to be written.
  mutating func ledgerOpened() -> Action {
    guard phase == .opening || phase == .draining else { return .nothing }
    phase = .writing
    guard waiting > 0 else { return .nothing }
    let count = waiting
    inFlight += count
    waiting = 0
    return .send(count: count)
  }

  /// No ledger could be created, after all attempts. Nothing is in flight: the failed entries are stored nowhere, and
  /// the next append may try again.
  mutating func openingFailed(_ error: TopicLogError) -> Action {
    guard phase == .opening else { return .nothing }
    phase = .idle
    failedLedgers = 0
    return drop(error)
  }

  /// The first entry of the queue is stored.
  @inline(__always)
  mutating func confirmed() -> Action {
    precondition(inFlight > 0, "a confirmation without an append in flight")
    inFlight -= 1
    failedLedgers = 0
    return inFlight == 0 && phase == .draining ? .rollOver : .nothing
  }

  /// The ledger is full and the next one is ready.
  mutating func rollOver() -> Action {
    guard phase == .writing else { return .nothing }
    phase = .draining
    return inFlight == 0 ? .rollOver : .nothing
  }

  /// The ledger reported its first failure. What is in flight may or may not be stored.
  mutating func ledgerFailed() -> Action {
    guard phase == .writing || phase == .draining else { return .nothing }
    phase = .replacing
    failedLedgers += 1
    return .closeFailedLedger
  }

  /// The failed ledger is closed. Those in flight that it holds have been reported by `confirmed`; the others are not
  /// in it and go to the next ledger.
  mutating func failedLedgerClosed(error: TopicLogError) -> Action {
    guard phase == .replacing else { return .nothing }
    waiting += inFlight
    inFlight = 0
    if failedLedgers >= maximumFailedLedgers {
      phase = .idle
      failedLedgers = 0
      return drop(error)
    }
    phase = waiting > 0 ? .opening : .idle
    return waiting > 0 ? .openLedger : .nothing
  }

  /// The failed ledger could not be closed: what is in it will be known when the topic is opened again.
  mutating func closingFailed(_ error: TopicLogError) -> Action {
    guard phase == .replacing else { return .nothing }
    return stop(error)
  }

  /// Takes no more appends; those in the queue go on.
  mutating func refuse(_ error: TopicLogError) {
    if refusal == nil { refusal = error }
  }

  /// Takes no more appends and gives up those in the queue. A later stop may replace an earlier refusal's reason.
  mutating func stop(_ error: TopicLogError) -> Action {
    guard phase != .stopped else { return .nothing }
    phase = .stopped
    refusal = error
    return drop(error)
  }

  private mutating func drop(_ error: TopicLogError) -> Action {
    guard queued > 0 else { return .nothing }
    inFlight = 0
    waiting = 0
    return .failAll(error)
  }
}

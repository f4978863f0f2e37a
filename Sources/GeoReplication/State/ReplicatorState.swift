import DequeModule
import NIOCore
import TopicLog

/// What decides the correctness of one replicator: which entries go out, in which order, and how far the cursor moves.
///
/// One for each topic partition and remote region. Entries are read once, in order; each is sent or skipped; the cursor
/// moves only over entries that are skipped or that the remote has said are stored. The remote owns the watermark
/// (ARCHITECTURE.md, R4): a stream opens with the remote's word of where it stands, and starts there, not where the cursor is.
///
/// The value holds no payload, clock or socket.
public struct ReplicatorState: Sendable {
  private struct InFlight: Sendable {
    var facts: EntryFacts
    /// When it was stored, by the loop's clock.
    var bornAtMs: Int64
    var sentAt: NIODeadline
    var deliveredWhenSent: Int
    /// The last entry that was skipped right after this one: acknowledged along with it.
    var skippedThrough: Position?
    var skippedFacts: Counters?
  }

  private let configuration: Configuration
  /// What the replicator is doing.
  public private(set) var phase = ReplicatorPhase.stopped
  /// Why the machine is in its phase; empty while all is well.
  public private(set) var reason = ""
  /// Everything up to here is done.
  public private(set) var acknowledged: Position
  /// The last entry that was read.
  public private(set) var lastRead: Position
  /// The last entry that this stream sent, or the remote's watermark: what the next entry follows.
  public private(set) var lastSent: Position
  private var inFlight: Deque<InFlight> = []
  /// Bytes under way.
  public private(set) var inFlightBytes = 0
  /// Bytes that may be under way.
  public private(set) var window: LinkWindow
  /// Whether a read is under way.
  public private(set) var isReading = false
  /// Of the stream that is open or being opened.
  public private(set) var epoch: UInt64
  private var lastProgress: NIODeadline
  /// What is behind.
  public private(set) var lag: LagState
  /// Entries that were sent again because a stream had ended before their acknowledgement.
  public private(set) var resumes = 0
  /// The last entry that was sent and that the remote has: what its watermark must be at least. It can be far behind
  /// ``acknowledged``, where only entries follow that are not for the remote. `nil` if not known.
  public private(set) var lastStored: Position?
  /// Messages that the remote acknowledged since this machine was made.
  public private(set) var storedMessages: UInt64 = 0
  /// Bytes that it acknowledged.
  public private(set) var storedBytes: UInt64 = 0
  /// Attempts that failed since the remote last acknowledged something.
  public private(set) var failures = 0
  /// Of these, the ones that failed while the link stood: the topic itself cannot go on.
  public private(set) var refusals = 0
  /// Whether nothing but an operator can help: what the remote says cannot be true of this log.
  public private(set) var isStuck = false

  /// A replicator that has not started.
  ///
  /// - Parameters:
  ///   - markDelete: the durable cursor.
  ///   - lastStored: ``lastStored`` as it was saved with the cursor.
  ///   - epoch: larger than that of any earlier stream of this topic, also of an earlier process.
  ///   - nowMs: the wall clock at `now`, in milliseconds since 1970.
  public init(
    markDelete: Position, lastStored: Position? = nil, epoch: UInt64, configuration: Configuration, now: NIODeadline,
    nowMs: Int64
  ) {
    self.configuration = configuration
    self.lastStored = lastStored
    self.acknowledged = markDelete
    self.lastRead = markDelete
    self.lastSent = .earliest
    self.epoch = epoch
    self.lastProgress = now
    self.window = LinkWindow(bounds: configuration.window)
    self.lag = LagState(now: now, nowMs: nowMs)
  }

  /// Entries under way.
  public var inFlightCount: Int { inFlight.count }

  /// The oldest entry under way.
  public var oldestInFlight: Position? { inFlight.first?.facts.position }

  // MARK: - Life of the stream

  /// Starts; may be called again after ``stop()``.
  public mutating func start(now: NIODeadline) -> [Action] {
    guard phase == .stopped else { return [] }
    failures = 0
    refusals = 0
    return open(now: now)
  }

  /// The link stands again: what failed while it was down says nothing about the topic.
  public mutating func linkIsUp(now: NIODeadline) -> [Action] {
    guard phase == .backingOff || phase == .connecting else { return [] }
    refusals = 0
    failures = 0
    isStuck = false
    reason = ""
    return phase == .backingOff ? open(now: now) : []
  }

  /// Stops for good or until the next ``start(now:)``.
  public mutating func stop(reason: String) -> [Action] {
    guard phase != .stopped else { return [] }
    let wasOpen = phase != .backingOff
    phase = .stopped
    self.reason = reason
    rewind()
    return wasOpen ? [.closeStream(epoch: epoch)] : []
  }

  /// The pause after a failure is over.
  public mutating func retry(now: NIODeadline) -> [Action] {
    guard phase == .backingOff else { return [] }
    return open(now: now)
  }

  /// The remote opened the stream.
  ///
  /// - Parameters:
  ///   - epoch: of the stream that opened.
  ///   - watermark: up to where the remote has this topic's entries; `nil` if it never saw one.
  ///   - firstAvailable: the oldest entry that is still in the local log.
  ///   - head: the last entry that the local log ever held; `.earliest` if there never was one.
  ///   - keepsWatermark: whether the remote would say one if it had it; a Pulsar cluster does not.
  public mutating func opened(
    epoch: UInt64, watermark: Position?, firstAvailable: Position?, head: Position, keepsWatermark: Bool = true,
    now: NIODeadline
  ) -> [Action] {
    guard phase == .connecting, epoch == self.epoch else { return [] }
    if let watermark, watermark > head, head > .earliest {
      return contradicted("the log here ends at \(head)", watermark)
    }
    phase = .streaming
    reason = ""
    isStuck = false
    lastProgress = now
    rewind()
    var actions: [Action] = []
    lastSent = watermark ?? .earliest
    if let watermark {
      if head <= .earliest {
        // A topic that was deleted and made again: its positions only grow, so what is to come is behind the watermark.
        // If it is not, ``contradiction(firstUnread:)`` says so.
      } else if watermark > acknowledged {
        acknowledged = watermark
        actions.append(.markDelete(watermark))
      } else if watermark < lastStored ?? acknowledged {
        // The remote lost what it had acknowledged: what is still here goes again; what is not, is a gap on record.
        if let firstAvailable, firstAvailable.ledgerID > watermark.ledgerID, firstAvailable <= acknowledged {
          let before = Position(ledgerID: firstAvailable.ledgerID, entryID: firstAvailable.entryID - 1)
          actions.append(.gap(from: watermark, through: before))
        } else if firstAvailable.map({ $0 > acknowledged }) ?? true {
          actions.append(.gap(from: watermark, through: acknowledged))
        }
        acknowledged = watermark
        lag.forget()
      }
      // What lies between the watermark and the cursor otherwise is not for the remote.
      lastStored = watermark
      lastRead = acknowledged
    } else if keepsWatermark, let lost = lastStored {
      // The remote began anew. What it once acknowledged stays lost: the cursor says what it is still owed.
      actions.append(.gap(from: .earliest, through: lost))
      lastStored = nil
    }
    actions.append(.read)
    return actions
  }

  /// The stream ended or could not be opened, or the remote refused an entry.
  ///
  /// - Parameter isOfTopic: whether it says something about the topic: false if the link was down, or if the stream is
  ///     only opened anew.
  public mutating func failed(
    epoch: UInt64, reason: String, isOfTopic: Bool = true, now: NIODeadline
  ) -> [Action] {
    guard epoch == self.epoch, phase != .stopped, phase != .backingOff else { return [] }
    if isOfTopic { refusals += 1 }
    return backOff(reason: reason)
  }

  /// Gives the stream up if the next entry cannot follow what the remote has, which would take it for one that it has.
  public mutating func contradiction(firstUnread: Position) -> [Action] {
    guard phase == .streaming, inFlight.isEmpty, firstUnread <= lastSent else { return [] }
    return contradicted("the log here goes on with \(firstUnread)", lastSent)
  }

  private mutating func contradicted(_ here: String, _ watermark: Position) -> [Action] {
    isStuck = true
    let epoch = epoch
    failures = max(failures, 20)
    return [.closeStream(epoch: epoch)]
      + backOff(
        reason: "it has this topic's entries up to \(watermark), but \(here): this region was restored from an older "
          + "copy. Restore a newer one, or delete the topic there, with what only that region still has")
  }

  /// Looks whether the stream stalls. To be called every second or so.
  public mutating func tick(now: NIODeadline) -> [Action] {
    guard phase == .streaming || phase == .waitingForSchema, !inFlight.isEmpty || phase == .waitingForSchema else {
      lastProgress = max(lastProgress, inFlight.isEmpty ? now : lastProgress)
      return []
    }
    guard now - lastProgress >= configuration.stallTimeout else { return [] }
    let seconds = configuration.stallTimeout.nanoseconds / 1_000_000_000
    return [.closeStream(epoch: epoch)]
      + backOff(reason: "no progress for \(seconds) s with entries under way; reopened")
  }

  // MARK: - Entries

  /// What to read next, if anything may be read now.
  public mutating func nextRead(firstUnread: Position, head: Position) -> (from: Position, maxBytes: Int)? {
    guard phase == .streaming, !isReading, firstUnread <= head else { return nil }
    let room = window.size - inFlightBytes
    guard room > 0 || inFlight.isEmpty else { return nil }
    isReading = true
    return (firstUnread, min(max(room, 1), 4 << 20))
  }

  /// A read ended, with or without entries.
  public mutating func readEnded() {
    isReading = false
  }

  /// Skips an entry: it came from elsewhere, or its policy leaves this region out.
  public mutating func skip(_ facts: EntryFacts) -> [Action] {
    guard facts.position > lastRead else { return [] }
    lastRead = facts.position
    let counters = Counters(facts)
    guard !inFlight.isEmpty else {
      acknowledged = facts.position
      lag.acknowledged(counters)
      return [.markDelete(facts.position)]
    }
    inFlight[inFlight.count - 1].skippedThrough = facts.position
    inFlight[inFlight.count - 1].skippedFacts = counters
    return []
  }

  /// Takes note that an entry is being sent.
  ///
  /// - Returns: the position that the entry follows, for the receiver's check; `nil` if it must not be sent.
  public mutating func send(_ facts: EntryFacts, now: NIODeadline) -> Position? {
    guard phase == .streaming, facts.position > lastRead else { return nil }
    if inFlight.isEmpty { lastProgress = now }
    let previous = lastSent
    lastRead = facts.position
    lastSent = facts.position
    inFlight.append(
      InFlight(
        facts: facts, bornAtMs: lag.bornAtMs(facts.position, storedAtMs: facts.storedAtMs, now: now), sentAt: now,
        deliveredWhenSent: window.deliveredBytes))
    inFlightBytes += facts.bytes
    return previous
  }

  /// An entry needs a schema that the remote does not have yet: nothing is sent until ``schemaReady(epoch:now:)``.
  public mutating func waitForSchema(now: NIODeadline) {
    guard phase == .streaming else { return }
    phase = .waitingForSchema
    lastProgress = now
  }

  /// The remote registered the schema.
  public mutating func schemaReady(epoch: UInt64, now: NIODeadline) -> [Action] {
    guard phase == .waitingForSchema, epoch == self.epoch else { return [] }
    phase = .streaming
    lastProgress = now
    return [.read]
  }

  /// The remote stored everything up to `watermark`.
  public mutating func stored(through watermark: Position, epoch: UInt64, now: NIODeadline) -> [Action] {
    guard epoch == self.epoch, phase == .streaming || phase == .waitingForSchema else { return [] }
    var bytes = 0
    var newest: InFlight?
    while let first = inFlight.first, first.facts.position <= watermark {
      bytes += first.facts.bytes
      storedMessages += UInt64(max(0, first.facts.messages))
      newest = inFlight.removeFirst()
    }
    guard let newest else { return [] }
    inFlightBytes -= bytes
    storedBytes += UInt64(bytes)
    lastStored = newest.facts.position
    failures = 0
    refusals = 0
    lastProgress = now
    window.acknowledged(
      bytes: bytes, sentAt: newest.sentAt, deliveredWhenSent: newest.deliveredWhenSent, now: now)
    acknowledged = newest.skippedThrough ?? newest.facts.position
    lag.acknowledged(newest.skippedFacts ?? Counters(newest.facts))
    return [.markDelete(acknowledged), .read]
  }

  /// What is behind, for the lag report; `nil` while it is not known yet.
  public func figures(head: LagState.Head, now: NIODeadline) -> LagState.Figures? {
    lag.figures(
      head: head, isDone: acknowledged >= head.position,
      oldestKnown: inFlight.first.map { ($0.facts.position, $0.bornAtMs) }, now: now)
  }

  /// Compares the wall clock with the loop's. To be called every second or so, before the head is asked for anything.
  public mutating func noteClock(now: NIODeadline, nowMs: Int64, head: Position) {
    lag.noteClock(now: now, nowMs: nowMs, head: head, done: acknowledged)
  }

  /// Tells the lag that everything in the log is stored remotely at this moment, if it is so.
  public mutating func noteCaughtUp(head: Position, now: NIODeadline) {
    if acknowledged >= head { lag.caughtUp(now: now) }
  }

  /// The first entry that waits was looked at.
  ///
  /// - Parameters:
  ///   - position: where it is.
  ///   - storedAtMs: when it was stored.
  ///   - before: the log's counters right before it.
  public mutating func noteOldest(
    position: Position, storedAtMs: Int64, before: (messages: UInt64, bytes: UInt64), now: NIODeadline
  ) {
    guard position > acknowledged else { return }
    lag.sawOldest(position, bornAtMs: lag.bornAtMs(position, storedAtMs: storedAtMs, now: now))
    lag.learned(
      Counters(position: position, messages: before.messages, bytes: before.bytes, storedAtMs: storedAtMs))
  }

  // MARK: - Inside

  private mutating func open(now: NIODeadline) -> [Action] {
    epoch += 1
    phase = .connecting
    lastProgress = now
    return [.openStream(epoch: epoch)]
  }

  private mutating func backOff(reason: String) -> [Action] {
    phase = .backingOff
    self.reason = reason
    rewind()
    let exponent = min(failures, 20)
    failures = exponent + 1
    let pause = min(
      configuration.backoffInitial.nanoseconds << exponent, configuration.backoffMaximum.nanoseconds)
    return [.retry(after: .nanoseconds(max(pause, 1)))]
  }

  /// Forgets what is under way: it is read again after the next opening, from where the remote then stands.
  private mutating func rewind() {
    if let first = inFlight.first {
      lag.sawOldest(first.facts.position, bornAtMs: first.bornAtMs)
      resumes += inFlight.count
    }
    inFlight.removeAll()
    inFlightBytes = 0
    lastRead = acknowledged
    isReading = false
  }
}

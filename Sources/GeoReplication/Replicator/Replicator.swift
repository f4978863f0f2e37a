import Broker
import Logging
import NIOCore
import PulsarClient
import PulsarWire
import TopicLog
import Transport

/// Sends one topic partition to one remote region: reads the log behind its cursor, and carries out what
/// ``ReplicatorState`` decides.
///
/// Confined to `eventLoop`, the topic's. It reacts to appends and receipts at once; the only timers are the pause after
/// a failure and the watchdog that the service calls once a second.
final class Replicator: TopicReplicator, @unchecked Sendable {
  private enum CursorProperty {
    static let ledger = "meridian.stored.ledger"
    static let entry = "meridian.stored.entry"
  }

  let topic: Topic
  let link: Link
  let cursor: TopicCursor
  let eventLoop: any EventLoop
  let filter: EntryFilter
  let configuration: ReplicationConfiguration
  var logger: Logger

  var state: ReplicatorState
  var stream: ReplicatorStream?
  /// What the remote calls the versions of the topic's schemas.
  var schemaVersions: [ByteBuffer: ByteBuffer] = [:]
  var figures = ReplicatorFigures()
  /// What the remote will never get: saved with the cursor, and told to the remote when a stream is opened.
  private(set) var gaps: ReplicationGaps
  private var untoldGap = false
  private var retryTimer: Scheduled<Void>?
  private var isStopped = false
  private var reportedInFlight = 0
  private var peekedAt: Position?
  private var isPeeking = false

  init(topic: Topic, link: Link, cursor: TopicCursor, configuration: ReplicationConfiguration, logger: Logger) {
    self.topic = topic
    self.link = link
    self.cursor = cursor
    self.configuration = configuration
    self.eventLoop = topic.eventLoop
    self.filter = EntryFilter(remote: link.remote)
    var logger = logger
    logger[metadataKey: "topic"] = "\(topic.name)"
    logger[metadataKey: "to"] = "\(link.remote)"
    self.logger = logger
    let properties = cursor.properties
    var lastStored: Position?
    if let ledger = properties[CursorProperty.ledger], let entry = properties[CursorProperty.entry] {
      lastStored = Position(ledgerID: ledger, entryID: entry)
    }
    gaps = ReplicationGaps(properties: properties, region: link.remote)
    let nowMs = wallClockMs()
    state = ReplicatorState(
      markDelete: cursor.markDelete, lastStored: lastStored, epoch: UInt64(max(0, nowMs)) << 16,
      configuration: configuration.replicator, now: .now(), nowMs: nowMs)
  }

  // MARK: From the topic

  func start() {
    eventLoop.assertInEventLoop()
    guard !isStopped else { return }
    link.register(self)
    cursor.readPosition = cursor.markDelete
    perform(state.start(now: .now()))
    lookAtOldest()
  }

  func stop(completion: @escaping () -> Void) {
    eventLoop.assertInEventLoop()
    isStopped = true
    retryTimer?.cancel()
    perform(state.stop(reason: "the topic was closed or its policy changed"))
    endStream()
    settle()
    // A topic that comes back is still owed what waits in it: nothing is added to that before it is loaded again.
    let comesBack = !topic.isDeleted && topic.policies.remoteClusters.contains(link.remote)
    link.unregister(self, leaving: comesBack ? state.figures(head: head, now: .now()) : nil, comesBack: comesBack)
    completion()
  }

  func entriesAppended() {
    eventLoop.assertInEventLoop()
    pump()
  }

  func policyChanged() {}

  // MARK: From the link

  /// The link is up: what waits for its pause to end does not have to.
  func linkIsUp() {
    eventLoop.assertInEventLoop()
    guard !isStopped else { return }
    if state.phase == .backingOff { retryTimer?.cancel() }
    perform(state.linkIsUp(now: .now()))
  }

  /// The connection takes more bytes.
  func hasRoom() { pump() }

  /// Looks after the stream; called every second.
  func tick(now: NIODeadline, nowMs: Int64) {
    eventLoop.assertInEventLoop()
    guard !isStopped else { return }
    state.noteClock(now: now, nowMs: nowMs, head: topic.log.lastConfirmed)
    state.noteCaughtUp(head: topic.log.lastConfirmed, now: now)
    perform(state.tick(now: now))
    lookAtOldest()
    pump()
  }

  // MARK: Actions

  func perform(_ actions: [ReplicatorState.Action]) {
    for action in actions {
      switch action {
      case .openStream(let epoch): openStream(epoch)
      case .closeStream: endStream()
      case .markDelete(let position): moveCursor(to: position)
      case .read: pump()
      case .retry(let pause): retry(after: pause)
      case .gap(let from, let through): record(from, through)
      }
    }
    settle()
  }

  private func retry(after pause: TimeAmount) {
    guard !isStopped else { return }
    // Up to a third more or less, so that topics that failed together do not come back together.
    let nanoseconds = pause.nanoseconds * Int64.random(in: 67...133) / 100
    retryTimer?.cancel()
    retryTimer = eventLoop.scheduleTask(in: .nanoseconds(nanoseconds)) { [weak self] in
      guard let self, !isStopped else { return }
      perform(state.retry(now: .now()))
    }
  }

  /// Puts it on record that the remote will never get some entries: here at once, there with the next stream.
  private func record(_ from: Position, _ through: Position) {
    logger.error(
      "the remote region lacks entries that it had acknowledged and that are no longer here",
      metadata: ["from": "\(from)", "through": "\(through)"])
    gaps.add(
      ReplicationGap(
        fromLedgerId: from.ledgerID, fromEntryId: from.entryID, throughLedgerId: through.ledgerID,
        throughEntryId: through.entryID, recordedAtMs: wallClockMs()))
    untoldGap = true
    saveProperties()
    Task { [cursor, logger] in
      do {
        try await cursor.flush()
      } catch {
        logger.warning("the record of a gap could not be saved yet", metadata: ["reason": "\(error)"])
      }
    }
  }

  private func saveProperties() {
    var properties: [String: Int64] = [:]
    if let stored = state.lastStored {
      properties[CursorProperty.ledger] = stored.ledgerID
      properties[CursorProperty.entry] = stored.entryID
    }
    gaps.write(into: &properties, region: link.remote)
    if cursor.properties != properties { cursor.properties = properties }
  }

  func moveCursor(to position: Position) {
    saveProperties()
    cursor.acknowledgeCumulative(position)
    cursor.readPosition = max(cursor.readPosition, position)
    if position >= topic.log.lastConfirmed {
      state.noteCaughtUp(head: topic.log.lastConfirmed, now: .now())
    }
  }

  /// Tells the link what changed of the bytes under way.
  func settle() {
    link.addInFlight(state.inFlightBytes - reportedInFlight)
    reportedInFlight = state.inFlightBytes
  }

  // MARK: The stream

  private func openStream(_ epoch: UInt64) {
    endStream()
    let whole = topic.name.partition == nil ? nil : topic.name.partitionedTopic
    let partitions = whole.flatMap { link.partitions(of: $0) } ?? 0
    link.owner(of: topic.name, on: eventLoop).whenComplete { [weak self] result in
      guard let self, isOpening(epoch) else { return }
      switch result {
      case .failure(let error): fail(epoch, ErrorText.describe(error))
      case .success(let connection):
        let stream = ReplicatorStream(epoch: epoch, connection: connection, replicator: self)
        self.stream = stream
        link.openStream(
          of: topic.name, partitions: partitions, gaps: gaps, producerID: stream.producerID, epoch: epoch,
          on: connection
        ).whenComplete { [weak self] result in
          guard let self, isOpening(epoch), self.stream === stream else { return stream.close() }
          switch result {
          case .failure(let error): fail(epoch, ErrorText.describe(error))
          case .success(let stamp): opened(stream, at: stamp)
          }
        }
      }
    }
  }

  private func isOpening(_ epoch: UInt64) -> Bool {
    !isStopped && state.phase == .connecting && state.epoch == epoch
  }

  private func opened(_ stream: ReplicatorStream, at stamp: OriginStamp?) {
    schemaVersions = [:]
    untoldGap = false
    figures.streamsOpened += 1
    let watermark = stamp.map { Position(ledgerID: $0.ledgerID, entryID: $0.entryID) }
    logger.debug("a stream is open", metadata: ["watermark": "\(watermark.map(\.description) ?? "none")"])
    perform(
      state.opened(
        epoch: stream.epoch, watermark: watermark, firstAvailable: topic.log.firstPosition,
        head: topic.log.lastConfirmed, keepsWatermark: stream.mode == .watermark, now: .now()))
    if state.isStuck { logger.error("replication is stuck", metadata: ["reason": "\(state.reason)"]) }
    if untoldGap, self.stream === stream {
      fail(stream.epoch, "a gap is being put on record there", isOfTopic: false)
    }
  }

  private func endStream() {
    let stream = stream
    self.stream = nil
    stream?.close()
  }

  /// The remote, or the connection, ended the stream.
  func streamEnded(_ stream: ReplicatorStream, _ reason: String) {
    guard self.stream === stream else { return }
    fail(stream.epoch, reason)
  }

  /// Gives the stream up and tries again later.
  func fail(_ epoch: UInt64, _ reason: String, isOfTopic: Bool = true) {
    guard !isStopped, state.epoch == epoch else { return }
    endStream()
    let linkIsUp = link.status.isUp
    // A link's own reason names the region already.
    let reason = reason == link.status.reason ? reason : "\(link.remote): \(reason)"
    // Once, not at every attempt.
    if reason != figures.lastFailure { logger.warning("a stream failed", metadata: ["reason": "\(reason)"]) }
    figures.lastFailure = reason
    figures.failures += 1
    perform(state.failed(epoch: epoch, reason: reason, isOfTopic: isOfTopic && linkIsUp, now: .now()))
    lookAtOldest()
  }

  func received(_ receipt: SendReceiptCommand, on stream: ReplicatorStream) {
    guard self.stream === stream else { return }
    let position: Position
    switch stream.mode {
    case .watermark:
      guard let watermark = receipt.watermark, watermark.region == link.region,
        watermark.incarnation == link.incarnation
      else { return }
      position = Position(ledgerID: watermark.ledgerID, entryID: watermark.entryID)
    case .position:
      let named = Position(
        ledgerID: Int64(bitPattern: receipt.sequenceID), entryID: Int64(bitPattern: receipt.highestSequenceID))
      guard let oldest = state.oldestInFlight, named >= oldest else { return }
      // Its receipts come one for each entry, in order: anything else means that one was lost.
      guard named == oldest else { return fail(stream.epoch, "it acknowledged \(named) before \(oldest)") }
      position = named
    case .ordered:
      guard let oldest = state.oldestInFlight else { return }
      position = oldest
    }
    figures.lastFailure = ""
    let before = (messages: state.storedMessages, bytes: state.storedBytes)
    let now = NIODeadline.now()
    let actions = state.stored(through: position, epoch: stream.epoch, now: now)
    figures.sent.record(
      messages: Int(state.storedMessages - before.messages), bytes: Int(state.storedBytes - before.bytes), now: now)
    perform(actions)
  }

  // MARK: What waits

  /// Reads the first entry that waits while nothing is under way, so that the lag is known.
  private func lookAtOldest() {
    let log = topic.log
    guard !isStopped, !isPeeking, state.inFlightCount == 0, state.acknowledged < log.lastConfirmed,
      let first = log.firstPosition(atOrAfter: log.position(after: state.acknowledged)),
      first != peekedAt
        || state.figures(head: head, now: .now()) == nil
    else { return }
    isPeeking = true
    log.read(from: first, maxEntries: 1, maxBytes: 1) { [weak self] result in
      guard let self else { return }
      isPeeking = false
      guard case .success(let entries) = result, let entry = entries.first,
        let before = EntryFilter.countersBefore(entry)
      else { return }
      peekedAt = first
      state.noteOldest(
        position: entry.position, storedAtMs: before.storedAtMs, before: (before.messages, before.bytes), now: .now())
    }
  }

  /// Where the log stands.
  var head: LagState.Head {
    let counters = topic.localCounters
    return LagState.Head(
      position: topic.log.lastConfirmed, localMessages: counters.messages, localBytes: counters.bytes)
  }
}

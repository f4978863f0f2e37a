import NIOCore
import TopicLog

/// Reading entries and handing them out. One round delivers at most `maxEntriesPerRound` entries, calls each sink once,
/// and leaves the loop to others before the next.
extension Subscription {
  func dispatch() {
    eventLoop.assertInEventLoop()
    guard !isDispatching else {
      needsAnotherRound = true
      return
    }
    guard state == .open, !consumers.isEmpty, limitTimer == nil else { return }
    isDispatching = true
    needsAnotherRound = false
    askSinks()
    var budget = configuration.maxEntriesPerRound
    if usesShared {
      if shared.delayed.count > 0 { _ = shared.releaseDue(wallClockMs()) }
      readReplays()
      deliverShared(&budget)
      setDelayTimer()
    } else {
      deliverToActive(&budget)
    }
    readMore()
    flushOutgoing()
    isDispatching = false
    if limits.isOverdrawn { return waitForLimits() }
    if needsAnotherRound || (budget <= 0 && !readAhead.isEmpty) { scheduleRound() }
    if isTerminated { checkEndOfTopic() }
  }

  private func scheduleRound() {
    guard !isRoundScheduled else { return }
    isRoundScheduled = true
    eventLoop.execute { [weak self] in
      self?.isRoundScheduled = false
      self?.dispatch()
    }
  }

  /// Goes on when the dispatch rates allow it.
  private func waitForLimits() {
    let wait = limits.wait(now: .now())
    guard wait > .zero else { return scheduleRound() }
    limitTimer = eventLoop.scheduleTask(in: wait) { [weak self] in
      guard let self else { return }
      limitTimer = nil
      // Another subscription of the topic may have used up what there was.
      if limits.isOverdrawn, limits.wait(now: .now()) > .zero { waitForLimits() } else { dispatch() }
    }
  }

  /// The dispatch rates are others than before.
  func limitsChanged() {
    limitTimer?.cancel()
    limitTimer = nil
    // Later: whoever changes them may be in the middle of something.
    scheduleRound()
  }

  private func askSinks() {
    for consumer in consumers {
      let isWritable = consumer.sink.isWritable
      if usesShared {
        shared.setWritable(consumer.key, isWritable)
      } else {
        single.setWritable(consumer.key, isWritable)
      }
    }
  }

  // MARK: Delivering

  private func deliverToActive(_ budget: inout Int) {
    guard let key = single.activeConsumer, let consumer = consumersByKey[key], single.demand > 0 else { return }
    while budget > 0, !limits.isOverdrawn, let entry = readAhead.first {
      guard let facts = wanted(entry, needsKey: false) else {
        readAhead.removeFirst()
        budget -= 1
        continue
      }
      let ackSet = cursor.remainingBatchBits(entry.position)
      let messages = ackSet.map { max(1, $0.setBits) } ?? facts.messages
      guard case .deliver = single.offer(messages: messages) else { return }
      readAhead.removeFirst()
      budget -= 1
      hand(entry, facts, messages: messages, ackSet: ackSet, redeliveryCount: 0, to: consumer)
    }
  }

  private func deliverShared(_ budget: inout Int) {
    // Entries that are read again come first: later ones must not take their permits meanwhile.
    guard !replays.isReading else { return }
    let nowMs = readAhead.isEmpty ? 0 : wallClockMs()
    while budget > 0, !limits.isOverdrawn, let entry = readAhead.first {
      guard let facts = wanted(entry, needsKey: shared.kind == .keyShared) else {
        readAhead.removeFirst()
        budget -= 1
        continue
      }
      let ackSet = cursor.remainingBatchBits(entry.position)
      let description = describe(entry, facts, ackSet)
      switch shared.offer(description, nowMs: nowMs) {
      case .hold: return
      case .drop, .setAside:
        readAhead.removeFirst()
        budget -= 1
      case .deliver(let key, let redeliveryCount):
        readAhead.removeFirst()
        budget -= 1
        guard let consumer = consumersByKey[key] else { continue }
        hand(
          entry, facts, messages: description.messages, ackSet: ackSet, redeliveryCount: redeliveryCount, to: consumer)
      }
    }
  }

  private func deliverReplays(_ answers: [ReplayReads.Answer]) {
    for answer in answers {
      let (found, vanished) = answer.split()
      for position in vanished { shared.vanished(position) }
      // What the rate does not allow now stays among those that are to be read again.
      for entry in found where !limits.isOverdrawn && shared.replay.item(at: entry.position) != nil {
        guard let facts = wanted(entry, needsKey: false) else {
          shared.vanished(entry.position)
          continue
        }
        let ackSet = cursor.remainingBatchBits(entry.position)
        let description = describe(entry, facts, ackSet)
        if case .deliver(let key, let redeliveryCount) = shared.offerReplay(description),
          let consumer = consumersByKey[key]
        {
          hand(
            entry, facts, messages: description.messages, ackSet: ackSet, redeliveryCount: redeliveryCount, to: consumer
          )
        }
      }
    }
  }

  /// The facts of an entry that a consumer must get; nil for one that is acknowledged or that is none of their business.
  @inline(__always)
  private func wanted(_ entry: LogEntry, needsKey: Bool) -> EntryFacts? {
    if cursor.isAcknowledged(entry.position) { return nil }
    let facts = EntryFacts(entry.payload, needsKey: needsKey)
    if facts.isMarker {
      _ = cursor.acknowledge(entry.position)
      return nil
    }
    return facts
  }

  private func describe(_ entry: LogEntry, _ facts: EntryFacts, _ ackSet: [Int64]?) -> EntryDescription {
    EntryDescription(
      position: entry.position, messages: ackSet.map { max(1, $0.setBits) } ?? facts.messages,
      keyHash: facts.keyHash, deliverAtMs: facts.deliverAtMs)
  }

  @inline(__always)
  private func hand(
    _ entry: LogEntry, _ facts: EntryFacts, messages: Int, ackSet: [Int64]?, redeliveryCount: UInt32,
    to consumer: SubscriptionConsumer
  ) {
    if consumer.outgoing.isEmpty { touched.append(consumer) }
    readAhead.delivered(messages: messages)
    if limits.isActive {
      limits.take(messages: messages, bytes: entry.payload.readableBytes - facts.brokerMetadataLength)
    }
    if facts.isChunk { consumer.outgoingChunks += 1 }
    consumer.outgoing.append(
      Delivery(
        position: entry.position, entry: entry.payload, brokerMetadataLength: facts.brokerMetadataLength,
        messages: messages, redeliveryCount: redeliveryCount, ackSet: ackSet))
  }

  private func flushOutgoing() {
    guard !touched.isEmpty else { return }
    let now = NIODeadline.now()
    let nowMs = wallClockMs()
    let round = touched
    touched = []
    counters.lastConsumedMs = nowMs
    for consumer in round where !consumer.outgoing.isEmpty {
      let batch = consumer.outgoing
      consumer.outgoing = []
      consumer.outgoing.reserveCapacity(min(batch.count, 128))
      var messages = 0
      var bytes = 0
      for delivery in batch {
        messages += delivery.messages
        bytes += delivery.entry.readableBytes - delivery.brokerMetadataLength
      }
      counters.out.record(messages: messages, bytes: bytes, now: now)
      consumer.counters.sent(messages: messages, bytes: bytes, entries: batch.count, now: now, nowMs: nowMs)
      if consumer.outgoingChunks > 0 {
        counters.chunks.record(messages: consumer.outgoingChunks, bytes: 0, now: now)
        consumer.counters.chunks.record(messages: consumer.outgoingChunks, bytes: 0, now: now)
        consumer.outgoingChunks = 0
      }
      consumer.sink.deliver(batch)
    }
  }

  // MARK: Reading

  private func readMore() {
    let demand = usesShared ? shared.demand : single.demand
    guard demand > 0, !isRetryScheduled, !usesShared || shared.mayReadAhead else { return }
    guard let request = readAhead.request(demand: demand, lastConfirmed: log.lastConfirmed) else { return }
    log.read(from: request.from, maxEntries: request.maxEntries, maxBytes: request.maxBytes) { [weak self] result in
      self?.received(result, for: request)
    }
  }

  private func received(_ result: Result<[LogEntry], TopicLogError>, for request: ReadAhead.Request) {
    switch result {
    case .success(let entries):
      guard readAhead.received(entries, for: request) else { return }
      retryDelay = .milliseconds(100)
      cursor.readPosition = readAhead.next
      if !entries.isEmpty { dispatch() }
    case .failure(let error):
      if readAhead.failed(request) { retry(after: error) }
    }
  }

  private func readReplays() {
    guard !replays.isReading, !isRetryScheduled, !shared.replay.isEmpty else { return }
    let demand = shared.demand
    guard demand > 0 else { return }
    let wanted = min(configuration.dispatcherMaxReadBatchSize, readAhead.entries(forMessages: demand))
    let positions = shared.deliverableReplays(max: wanted)
    guard !positions.isEmpty else { return }
    let runs = replays.begin(positions)
    let epoch = replays.epoch
    for (index, run) in runs.enumerated() {
      log.read(
        from: run.first, maxEntries: run.count, maxBytes: configuration.dispatcherMaxReadSizeBytes
      ) { [weak self] result in
        self?.receivedReplay(result, run: run, index: index, epoch: epoch)
      }
    }
  }

  private func receivedReplay(
    _ result: Result<[LogEntry], TopicLogError>, run: ReplayReads.Run, index: Int, epoch: UInt64
  ) {
    let answers = replays.received(try? result.get(), run: run, index: index, epoch: epoch)
    if case .failure(let error) = result, epoch == replays.epoch { retry(after: error) }
    guard let answers, state == .open else { return }
    askSinks()
    let wasDispatching = isDispatching
    isDispatching = true
    deliverReplays(answers)
    if !wasDispatching { flushOutgoing() }
    isDispatching = wasDispatching
    dispatch()
  }

  /// Reads again after a while: clients wait, nothing is skipped.
  private func retry(after error: TopicLogError) {
    switch error {
    case .closed, .fenced, .deleted, .appendUndecided: return
    case .terminated, .noWritableLedger, .readFailed, .metadata, .cursor, .noSuchCursor: break
    }
    guard !isRetryScheduled, state != .closed else { return }
    isRetryScheduled = true
    logger.warning(
      "reading for a subscription failed, trying again in \(retryDelay)",
      metadata: [
        "topic": "\(topic)", "subscription": "\(name)", "error": "\(error)",
      ])
    eventLoop.scheduleTask(in: retryDelay) { [weak self] in
      self?.isRetryScheduled = false
      self?.dispatch()
    }
    retryDelay = min(retryDelay * 2, .seconds(10))
  }

  // MARK: Time

  private func setDelayTimer() {
    guard let dueMs = shared.delayed.nextDueMs else { return }
    if let delayTimer, delayTimer.dueMs <= dueMs { return }
    delayTimer?.task.cancel()
    let wait = min(max(1, dueMs - wallClockMs()), 24 * 3_600_000)
    let task = eventLoop.scheduleTask(in: .milliseconds(wait)) { [weak self] () -> Void in
      self?.delayTimer = nil
      self?.dispatch()
    }
    delayTimer = (dueMs, task)
  }

  func checkEndOfTopic() {
    guard isTerminated, state == .open, cursor.backlogEntries == 0 else { return }
    for consumer in consumers where !consumer.knowsEndOfTopic {
      consumer.knowsEndOfTopic = true
      consumer.sink.reachedEndOfTopic()
    }
  }
}

extension [Int64] {
  /// The number of bits that are set: the messages of a batch that remain.
  var setBits: Int { reduce(0) { $0 + $1.nonzeroBitCount } }
}

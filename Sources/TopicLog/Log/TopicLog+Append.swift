import Ledgers
import NIOCore

extension TopicLog {
  /// Appends the entry `header + body`; neither is copied.
  ///
  /// `completion` is called on the loop, in the order of the appends. When a ledger fails, what it does not hold is sent
  /// to another one in the same order. An append that fails was either not stored (`.noWritableLedger`, `.closed`,
  /// `.terminated`, `.deleted`), or its fate is open until the log is opened again (`.appendUndecided`, `.fenced`).
  public func append(
    _ header: ByteBuffer, _ body: ByteBuffer, completion: @escaping (Result<Position, TopicLogError>) -> Void
  ) {
    eventLoop.assertInEventLoop()
    let action = pipeline.append()
    if case .refuse(let error) = action {
      completion(.failure(error))
      return
    }
    pending.append(PendingAppend(header: header, body: body, completion: completion))
    if case .send = action, let writer, let writerCallback {
      inFlightBytes += Int64(header.readableBytes + body.readableBytes)
      writer.append(header, body, completion: writerCallback)
    } else {
      perform(action)
    }
  }

  func perform(_ action: AppendPipeline.Action) {
    switch action {
    case .nothing, .refuse: break
    case .send(let count): sendWaiting(count)
    case .openLedger: executor.start { await self.openWriter() }
    case .rollOver: takePrepared()
    case .closeFailedLedger: executor.start { await self.closeFailedWriter() }
    case .failAll(let error): failPending(error)
    }
  }

  private func sendWaiting(_ count: Int) {
    guard let writer, let writerCallback else { return }
    // Sending may confirm or fail entries at once: what is sent is settled before.
    let batch = Array(pending[(pipeline.inFlight - count)..<pipeline.inFlight])
    inFlightBytes += batch.reduce(0) { $0 + Int64($1.size) }
    for entry in batch { writer.append(entry.header, entry.body, completion: writerCallback) }
  }

  private func failPending(_ error: TopicLogError) {
    let failed = pending
    pending = []
    inFlightBytes = 0
    for entry in failed { entry.completion(.failure(error)) }
    resumeDrainWaiters()
  }

  // MARK: Results

  private func makeCallback() -> (Result<Int64, LedgerError>) -> Void {
    let generation = writerGeneration
    return { [weak self] result in
      guard let self, self.writerGeneration == generation else { return }
      switch result {
      case .success(let entryID): self.confirm(entryID)
      case .failure(let error): self.writerFailed(error)
      }
    }
  }

  private func confirm(_ entryID: Int64) {
    guard let last = chain.segments.last, last.entries == entryID, !pending.isEmpty else {
      // The ledger and this log disagree about where entries are: nothing more may be acknowledged.
      fail(.appendUndecided(topic: name, reason: "a ledger confirmed entry \(entryID) out of order"))
      return
    }
    confirmFirst()
  }

  /// The first entry in flight is stored.
  private func confirmFirst() {
    let entry = pending.removeFirst()
    let size = entry.size
    inFlightBytes -= Int64(size)
    let (position, length) = chain.confirm(size: size)
    entriesAdded += 1
    scheduleNotification()
    if !cursors.isEmpty { cacheTail(position, entry, length: length) }
    let action = pipeline.confirmed()
    entry.completion(.success(position))
    perform(action)
    if pending.isEmpty { resumeDrainWaiters() }
  }

  private func cacheTail(_ position: Position, _ entry: PendingAppend, length: Int64) {
    let size = entry.size
    if !cacheBudget.reserve(size) {
      cacheBudget.release(cache.evict(atLeast: size))
      guard cacheBudget.reserve(size) else {
        // The cache has no gaps: without this entry nothing before it is of use to who reads on.
        cacheBudget.release(cache.evictAll())
        return
      }
    }
    cache.append(position, header: entry.header, body: entry.body, cumulativeLength: length, now: batchTime)
    scheduleEviction()
  }

  /// One notification for everything that is confirmed before the loop gets to it.
  private func scheduleNotification() {
    guard !isNotificationScheduled else { return }
    isNotificationScheduled = true
    batchTime = .now()
    eventLoop.execute { self.notify() }
  }

  private func notify() {
    isNotificationScheduled = false
    for listener in listeners { listener.call() }
    checkRollover()
  }

  private func resumeDrainWaiters() {
    let waiters = drainWaiters
    drainWaiters = []
    for waiter in waiters { waiter.resume() }
  }

  /// Returns when every append so far is confirmed or failed.
  func drained() async {
    guard !pending.isEmpty else { return }
    await withCheckedContinuation { drainWaiters.append($0) }
  }

  // MARK: Rolling over

  /// Prepares the next ledger, or goes over to it, if the current one is (nearly) full.
  func checkRollover() {
    guard pipeline.phase == .writing, !isClosing, endReason == nil, let last = chain.segments.last else { return }
    let age = NIODeadline.now() - writerOpenedAt
    let need = configuration.rollover.need(
      entries: last.entries + Int64(pipeline.inFlight), size: last.size + inFlightBytes,
      ageMs: age.nanoseconds / 1_000_000)
    switch (need, prepared) {
    case (.nothing, _), (.prepare, .ready), (_, .listing): break
    case (.roll, .ready): perform(pipeline.rollOver())
    case (.prepare, .none), (.roll, .none):
      // The record names at most two ledgers that are not closed.
      guard preparation == nil, retiring.isEmpty, NIODeadline.now() >= prepareAgainAt else { return }
      executor.start {
        do {
          try await self.prepareLedger()
          self.checkRollover()
        } catch {
          self.prepareAgainAt = .now() + .seconds(1)
          self.logger.warning(
            "cannot prepare the next ledger yet", metadata: ["topic": "\(self.name)", "error": "\(error)"])
        }
      }
    }
  }

  /// Returns when a ledger is created and named in the topic's record.
  func prepareLedger() async throws {
    if case .ready = prepared { return }
    if let preparation { return try await preparation.value }
    let task = executor.start {
      defer { self.preparation = nil }
      try await self.createListedLedger()
    }
    preparation = task
    try await task.value
  }

  private func createListedLedger() async throws {
    let writer: SegmentWriter
    do {
      writer = try await provider.create(ledgerOptions(configuration.ledgerOptions), on: eventLoop)
    } catch {
      lastLedgerFailureMs = wallClockMs()
      throw error
    }
    do {
      if let endReason { throw endReason }
      guard writer.id > max(chain.segments.last?.ledgerID ?? -1, chain.lastConfirmed.ledgerID) else {
        throw TopicLogError.metadata(topic: name, reason: "the new ledger's id \(writer.id) is not above earlier ones")
      }
      prepared = .listing(writer)
      try await writeRecord()
      if let endReason { throw endReason }
    } catch {
      prepared = .none
      lastLedgerFailureMs = wallClockMs()
      discard(writer)
      throw error
    }
    prepared = .ready(writer)
    lastLedgerCreatedMs = wallClockMs()
  }

  /// Deletes a ledger that never got an entry.
  func discard(_ writer: SegmentWriter) {
    condemned.insert(writer.id)
    executor.start { await self.deleteCondemned() }
  }

  /// Makes the prepared ledger the one that is written; every entry of the one before is confirmed.
  private func takePrepared() {
    guard case .ready(let next) = prepared else { return }
    prepared = .none
    if let old = writer {
      retiring[old.id] = old
      executor.start { await self.closeRetired(old) }
    }
    chain.append(.init(ledgerID: next.id, createdAtMs: wallClockMs()))
    writer = next
    writerGeneration += 1
    writerOpenedAt = .now()
    writerCallback = makeCallback()
    perform(pipeline.ledgerOpened())
  }

  /// Closes a full ledger and records that it is closed.
  private func closeRetired(_ old: SegmentWriter) async {
    for attempt in 0..<configuration.ledgerReplacementAttempts {
      do {
        try await backoff(attempt)
        guard let (entries, _) = try await settle(old) else { return }
        guard entries == chain.segment(old.id)?.entries else {
          return fail(.appendUndecided(topic: name, reason: "ledger \(old.id) was closed with \(entries) entries"))
        }
        chain.markClosed(old.id, atMs: wallClockMs())
        try await writeRecord()
        break
      } catch {
        logger.warning(
          "cannot close a full ledger yet", metadata: ["ledger": "\(old.id)", "error": "\(error)"])
      }
    }
    // If it is still open now, the next owner of the topic closes it.
    retiring[old.id] = nil
    checkRollover()
    trimSoon()
  }

  // MARK: Opening and replacing

  private func openWriter() async {
    var lastError: (any Error)?
    for attempt in 0..<max(1, configuration.ledgerReplacementAttempts) {
      do {
        try await backoff(attempt)
        try await prepareLedger()
        guard pipeline.phase == .opening else { return }
        return takePrepared()
      } catch {
        lastError = error
        guard endReason == nil else { return }
        logger.warning("cannot open a ledger yet", metadata: ["topic": "\(name)", "error": "\(error)"])
      }
    }
    perform(
      pipeline.openingFailed(.noWritableLedger(topic: name, reason: lastError.map { "\($0)" } ?? "unknown")))
  }

  private func writerFailed(_ error: LedgerError) {
    writerGeneration += 1
    writerCallback = nil
    logger.warning(
      "the ledger failed, replacing it",
      metadata: ["topic": "\(name)", "ledger": "\(writer?.id ?? -1)", "error": "\(error)"])
    perform(pipeline.ledgerFailed())
  }

  /// Closes the failed ledger for good, so that what it does not hold can be sent to another one.
  private func closeFailedWriter() async {
    guard let failed = writer else { return }
    var lastError: (any Error)?
    for attempt in 0..<max(1, configuration.ledgerReplacementAttempts) {
      do {
        try await backoff(attempt)
        guard let (entries, _) = try await settle(failed), pipeline.phase == .replacing else { return }
        let known = chain.segment(failed.id)?.entries ?? 0
        guard entries >= known, entries - known <= Int64(pipeline.inFlight) else {
          return fail(.appendUndecided(topic: name, reason: "ledger \(failed.id) was closed with \(entries) entries"))
        }
        // Stored, although the answer was lost.
        for _ in 0..<(entries - known) { confirmFirst() }
        chain.markClosed(failed.id, atMs: wallClockMs())
        if chain.segment(failed.id)?.entries == 0 {
          chain.removeEmpty(failed.id)
          condemned.insert(failed.id)
        }
        writer = nil
        inFlightBytes = 0
        perform(
          pipeline.failedLedgerClosed(
            error: .noWritableLedger(topic: name, reason: "one new ledger after the other failed")))
        if pending.isEmpty { resumeDrainWaiters() }
        return
      } catch {
        lastError = error
        logger.warning(
          "cannot close the failed ledger yet", metadata: ["ledger": "\(failed.id)", "error": "\(error)"])
      }
    }
    fail(.appendUndecided(topic: name, reason: lastError.map { "\($0)" } ?? "the ledger could not be closed"))
  }

  /// Closes a ledger for good and returns what it holds; nil if the topic is no longer ours (the log has ended then).
  func settle(_ writer: SegmentWriter) async throws -> (entries: Int64, length: Int64)? {
    do {
      let closed = try await writer.close()
      return (closed.lastEntry + 1, closed.length)
    } catch {
      guard endReason == nil, try await confirmOwnership() else { return nil }
      let reader = try await provider.recover(writer.id, on: eventLoop)
      defer { reader.close() }
      return (reader.lastEntry + 1, reader.length)
    }
  }
}

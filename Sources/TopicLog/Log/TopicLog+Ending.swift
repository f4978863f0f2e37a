import Ledgers
import Logging
import MetadataStore
import NIOCore

extension TopicLog {
  /// Ends the topic for good: later appends fail with `.terminated`. Appends under way are waited for.
  /// Returns the topic's last position.
  public func terminate() async throws -> Position {
    try await executor.run {
      try requireOpen()
      if let terminatedAt { return terminatedAt }
      pipeline.refuse(.terminated(topic: name))
      await drained()
      if let endReason { throw endReason }
      try await closeWriters()
      terminatedAt = chain.lastConfirmed
      try await writeRecord()
      return chain.lastConfirmed
    }
  }

  /// Closes the log: refuses appends, waits for those under way (`closeTimeout`), saves every cursor and the record.
  /// Nothing is lost if it is not called, or fails half way: the next owner then recovers the log. Never throws for a log
  /// that has ended already.
  public func close() async throws {
    try await executor.run {
      guard endReason == nil, !isClosing else { return }
      isClosing = true
      pipeline.refuse(.closed(topic: name))
      maintenance?.cancel()
      let limit = eventLoop.scheduleTask(in: TimeAmount(configuration.closeTimeout)) {
        self.perform(
          self.pipeline.stop(.appendUndecided(topic: self.name, reason: "the log was closed before it was confirmed")))
      }
      await drained()
      limit.cancel()
      guard endReason == nil else { return }
      do {
        if pipeline.phase != .stopped { try await closeWriters() }
        try await saveCursors()
        try await writeRecord()
        await deleteCondemned()
      } catch {
        logger.warning(
          "the log was closed in part, the next owner recovers it",
          metadata: ["topic": "\(name)", "error": "\(error)"])
      }
      end(.closed(topic: name))
    }
  }

  private func saveCursors() async throws {
    try await withThrowingTaskGroup(of: Void.self) { group in
      for cursor in cursors.values {
        group.addTask { try await cursor.saveFinally() }
      }
      try await group.waitForAll()
    }
  }

  /// Closes the ledger that is written, and lets go of the prepared one. Nothing is in flight.
  private func closeWriters() async throws {
    _ = try? await preparation?.value
    if let next = prepared.writer {
      prepared = .none
      condemned.insert(next.id)
    }
    for (id, old) in retiring where chain.segment(id)?.closedAtMs == 0 {
      if let (_, _) = try await settle(old) { chain.markClosed(id, atMs: wallClockMs()) }
    }
    guard let last = writer else { return }
    writer = nil
    writerGeneration += 1
    writerCallback = nil
    retiring[last.id] = last
    defer { retiring[last.id] = nil }
    guard let (entries, _) = try await settle(last) else { throw endReason ?? .closed(topic: name) }
    guard entries == chain.segment(last.id)?.entries else { return }
    chain.markClosed(last.id, atMs: wallClockMs())
    if entries == 0 {
      chain.removeEmpty(last.id)
      condemned.insert(last.id)
    }
  }

  /// Deletes the topic: its ledgers, its cursors and its record. The log has ended afterwards, whether or not that
  /// succeeds; a deletion that was cut short is finished when the topic is opened again.
  public func delete() async throws {
    try await executor.run {
      try requireOpen()
      isClosing = true
      isDeleting = true
      perform(pipeline.stop(.deleted(topic: name)))
      maintenance?.cancel()
      defer { end(.deleted(topic: name)) }
      _ = try? await preparation?.value
      if let next = prepared.writer { condemned.insert(next.id) }
      prepared = .none
      for cursor in cursors.values { cursor.stop() }
      try await writeRecord()
      let record = TopicRecord.with {
        $0.ledgers = chain.segments.map { segment in .with { $0.ledgerID = segment.ledgerID } }
        $0.condemnedLedgers = Array(condemned)
      }
      try await finishDeletion(record, version: recordVersion)
    }
  }

  /// Deletes everything that a record marked as being deleted names, and then the record.
  func finishDeletion(_ record: TopicRecord, version: MetadataVersion?) async throws {
    for record in try await metadata.list(prefix: keys.cursorPrefix) {
      if let cursor = try? CursorRecord(serializedBytes: record.value), cursor.hasCursorLedgerID {
        try await provider.delete(cursor.cursorLedgerID)
      }
      try await metadata.delete(record.key)
    }
    for id in record.ledgers.map(\.ledgerID) + record.condemnedLedgers { try await provider.delete(id) }
    do {
      try await metadata.delete(keys.topic, expected: version.map { .exactly($0) } ?? .any)
    } catch MetadataError.versionMismatch, MetadataError.notFound {
      throw TopicLogError.fenced(topic: name)
    }
  }

  // MARK: The end

  /// Ends the log because it can no longer be vouched for.
  func fail(_ error: TopicLogError) {
    guard endReason == nil else { return }
    logger.error("the log has ended", metadata: ["topic": "\(name)", "error": "\(error)"])
    end(error)
    onFailure?(error)
    onFailure = nil
  }

  /// Lets go of everything. All later calls fail with `error`.
  func end(_ error: TopicLogError) {
    guard endReason == nil else { return }
    endReason = error
    maintenance?.cancel()
    maintenance = nil
    writer = nil
    writerGeneration += 1
    writerCallback = nil
    perform(pipeline.stop(error))
    for cursor in cursors.values { cursor.stop() }
    cursors = [:]
    listeners = []
    dropCaches()
  }
}

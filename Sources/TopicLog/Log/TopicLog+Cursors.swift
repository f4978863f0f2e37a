import Ledgers
import Logging
import MetadataStore
import NIOCore

extension TopicLog {
  /// The durable cursor `name`; created at `initial`, with `properties`, if there is none. Durable when it returns.
  public func openCursor(
    _ name: String, initial: InitialPosition, properties: [String: Int64] = [:]
  ) async throws -> TopicCursor {
    try await executor.run {
      try requireOpen()
      // One that is going is no cursor to work with: it would save nothing. If it stays after all, it is good again.
      while let deletion = cursorsBeingDeleted[name] {
        _ = await deletion.result
        try requireOpen()
      }
      // One that lives in memory only does not keep what a durable one promises: the name becomes the durable one's.
      if let cursor = cursors[name], cursor.isDurable { return cursor }
      if let task = cursorsBeingMade[name] { return try await task.value }
      let task = executor.start {
        defer { self.cursorsBeingMade[name] = nil }
        let state = CursorState(initial, properties: properties, in: self.chain)
        let cursor = self.makeDurableCursor(name, state: state, record: nil)
        try await cursor.create()
        try self.requireOpen()
        self.cursors[name] = cursor
        return cursor
      }
      cursorsBeingMade[name] = task
      return try await task.value
    }
  }

  private func makeDurableCursor(
    _ name: String, state: CursorState, record: (version: MetadataVersion, ledger: Int64?, createdAtMs: Int64)?
  ) -> TopicCursor {
    let store = CursorStore(
      cursor: name, log: self, version: record?.version, ledger: record?.ledger,
      createdAtMs: record?.createdAtMs ?? wallClockMs())
    return TopicCursor(name: name, log: self, state: state, store: store)
  }

  /// Makes a cursor that lives in memory only, until `deleteCursor` or the end of the log. A cursor of the same name is
  /// replaced if it is not durable; if it is durable, the new one is not listed in `cursors`.
  public func makeNonDurableCursor(name: String, start: InitialPosition) -> TopicCursor {
    eventLoop.assertInEventLoop()
    let cursor = TopicCursor(name: name, log: self, state: CursorState(start, in: chain), store: nil)
    if endReason == nil, cursors[name]?.isDurable != true { cursors[name] = cursor }
    return cursor
  }

  /// Deletes the cursor `name` and its saved state. What only it held back can be trimmed afterwards.
  public func deleteCursor(_ name: String) async throws {
    try await executor.run {
      try requireOpen()
      guard let cursor = cursors[name] else { throw TopicLogError.noSuchCursor(topic: self.name, cursor: name) }
      try await delete(cursor)
    }
  }

  /// Deletes this cursor and its saved state; throws `noSuchCursor` if it was deleted before. Another one that has taken
  /// its name since is left alone. If it fails, the cursor is as it was.
  public func deleteCursor(_ cursor: TopicCursor) async throws {
    try await executor.run {
      try requireOpen()
      guard cursors[cursor.name] === cursor || !cursor.isDurable else {
        throw TopicLogError.noSuchCursor(topic: name, cursor: cursor.name)
      }
      try await delete(cursor)
    }
  }

  private func delete(_ cursor: TopicCursor) async throws {
    guard cursor.isDurable else { return dropCursor(cursor) }
    let name = cursor.name
    if let deletion = cursorsBeingDeleted[name] { return try await deletion.value }
    let deletion = executor.start {
      defer { self.cursorsBeingDeleted[name] = nil }
      try await cursor.delete()
      if self.cursors[name] === cursor { self.cursors[name] = nil }
    }
    cursorsBeingDeleted[name] = deletion
    try await deletion.value
    trimSoon()
  }

  /// Forgets a cursor that is not durable, at once. Another one that has taken its name since is left alone.
  public func dropCursor(_ cursor: TopicCursor) {
    eventLoop.assertInEventLoop()
    guard !cursor.isDurable, cursors[cursor.name] === cursor else { return }
    cursors[cursor.name] = nil
    trimSoon()
  }

  /// The cursor that a metadata record describes; nil if the key is not a cursor's.
  func recoverCursor(_ record: MetadataRecord) async throws -> TopicCursor? {
    guard let name = keys.cursorName(record.key) else { return nil }
    let saved: CursorRecord
    do {
      saved = try CursorRecord(serializedBytes: record.value)
    } catch {
      throw TopicLogError.cursor(topic: self.name, cursor: name, reason: "its record is damaged: \(error)")
    }
    var snapshot = saved.snapshot
    if saved.hasCursorLedgerID, let newest = try await newestSnapshot(saved.cursorLedgerID, cursor: name) {
      snapshot = newest
    }
    return makeDurableCursor(
      name, state: CursorState(snapshot, in: chain),
      record: (record.version, saved.hasCursorLedgerID ? saved.cursorLedgerID : nil, saved.createdAtMs))
  }

  /// The last snapshot in a cursor ledger. Nil if the ledger is lost: then the older state in the metadata store holds,
  /// and what was acknowledged since is delivered again. Throws if bookies are only out of reach at the moment.
  private func newestSnapshot(_ ledger: Int64, cursor: String) async throws -> CursorSnapshot? {
    var lastError: (any Error)?
    for attempt in 0..<3 {
      do {
        try await backoff(attempt)
        let reader = try await provider.recover(ledger, on: eventLoop)
        defer { reader.close() }
        guard reader.lastEntry >= 0 else { return nil }
        let entries: [LedgerEntry] = try await withCheckedThrowingContinuation { continuation in
          reader.read(from: reader.lastEntry, through: reader.lastEntry, maxBytes: .max) {
            continuation.resume(with: $0.mapError { $0 as any Error })
          }
        }
        guard let entry = entries.first else { return nil }
        return try CursorSnapshot(serializedBytes: Array(entry.payload.readableBytesView))
      } catch LedgerError.noSuchLedger, LedgerError.noSuchEntry {
        logger.error(
          "a cursor's ledger is lost, falling back to its last position in the metadata store",
          metadata: ["topic": "\(name)", "cursor": "\(cursor)", "ledger": "\(ledger)"])
        return nil
      } catch {
        lastError = error
      }
    }
    throw TopicLogError.cursor(
      topic: name, cursor: cursor, reason: lastError.map { "\($0)" } ?? "its ledger cannot be read")
  }
}

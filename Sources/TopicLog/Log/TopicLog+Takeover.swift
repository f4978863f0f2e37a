import Ledgers
import Logging
import MetadataStore
import NIOCore

extension TopicLog {
  /// Takes the topic's log over: creates it if there is none, otherwise fences whoever wrote it before, recovers its last
  /// ledgers and its cursors. The first append opens a new ledger.
  ///
  /// - Parameter name: `tenant/namespace/domain/encoded-topic` (or `domain://tenant/namespace/topic`).
  /// - Throws: `TopicLogError`: the metadata store or too many bookies are out of reach, or another broker was faster.
  public static func open(
    name: String, ledgers: LedgerClient, metadata: any MetadataStore, configuration: TopicLogConfiguration = .init(),
    cache: EntryCacheBudget, on eventLoop: any EventLoop, logger: Logger
  ) async throws -> TopicLog {
    try await open(
      name: name, provider: BookieLedgerProvider(client: ledgers), metadata: metadata, configuration: configuration,
      cache: cache, on: eventLoop, logger: logger)
  }

  static func open(
    name: String, provider: any LedgerProvider, metadata: any MetadataStore, configuration: TopicLogConfiguration,
    cache: EntryCacheBudget, on eventLoop: any EventLoop, logger: Logger
  ) async throws -> TopicLog {
    let log = TopicLog(
      name: name, provider: provider, metadata: metadata, configuration: configuration, cache: cache, on: eventLoop,
      logger: logger)
    do {
      try await log.executor.run { try await log.takeOver() }
    } catch {
      try? await log.executor.run { log.end(.closed(topic: name)) }
      throw error as? TopicLogError ?? .metadata(topic: name, reason: "\(error)")
    }
    return log
  }

  private func takeOver() async throws {
    recordRounds = SerialRounds(executor: executor) { [weak self] in try await self?.putRecord() }
    trimRounds = SerialRounds(executor: executor) { [weak self] in try await self?.trimNow() }
    let record = try await claim()
    let wasClean = record.ledgers.allSatisfy { $0.closedAtMs > 0 }
    try await recoverChain(record)
    // What recovery found out, unless the record says so already.
    if !wasClean || !condemned.isEmpty { try await writeRecord() }
    try await recoverCursors()
    if !condemned.isEmpty { executor.start { await self.deleteCondemned() } }
    let interval = TimeAmount(configuration.maintenanceInterval)
    maintenance = eventLoop.scheduleRepeatedTask(
      initialDelay: .nanoseconds(.random(in: interval.nanoseconds / 2...max(1, interval.nanoseconds))), delay: interval
    ) { [weak self] _ in self?.maintain() }
  }

  private func maintain() {
    checkRollover()
    trimSoon()
  }

  // MARK: Ownership

  /// Makes this the topic's owner and returns the record as the owner before left it.
  private func claim() async throws -> TopicRecord {
    for attempt in 0..<10 {
      try await backoff(min(attempt, 3))
      let present = try await metadata.get(keys.topic)
      var record = try present.map { try decode($0) } ?? TopicRecord.with { $0.createdAtMs = openedAtMs }
      if record.deleting {
        try await finishDeletion(record, version: present?.version)
        continue
      }
      record.epoch += 1
      record.owner = owner
      do {
        recordVersion = try await metadata.put(
          keys.topic, try record.serializedBytes(), expected: present.map { .exactly($0.version) } ?? .absent)
      } catch MetadataError.versionMismatch {
        guard let now = try await metadata.get(keys.topic), try decode(now).owner == owner else { continue }
        // Our own claim, whose answer was lost.
        recordVersion = now.version
      } catch MetadataError.storage {
        guard let now = try await metadata.get(keys.topic), try decode(now).owner == owner else { continue }
        recordVersion = now.version
      }
      epoch = record.epoch
      createdAtMs = record.createdAtMs
      properties = record.properties
      condemned = Set(record.condemnedLedgers)
      if record.hasTerminatedAt {
        terminatedAt = record.terminatedAt.position
        pipeline.refuse(.terminated(topic: name))
      }
      return record
    }
    throw TopicLogError.fenced(topic: name)
  }

  private func decode(_ record: MetadataRecord) throws -> TopicRecord {
    do {
      return try TopicRecord(serializedBytes: record.value)
    } catch {
      throw TopicLogError.metadata(topic: name, reason: "the record at \(record.key) is damaged: \(error)")
    }
  }

  /// Whether the topic is still ours; ends the log if it is not.
  func confirmOwnership() async throws -> Bool {
    guard let present = try await metadata.get(keys.topic) else {
      fail(.deleted(topic: name))
      return false
    }
    guard try decode(present).owner == owner else {
      fail(.fenced(topic: name))
      return false
    }
    return true
  }

  // MARK: Recovery

  /// Closes the ledgers that the owner before may still write, and learns what is in them.
  private func recoverChain(_ record: TopicRecord) async throws {
    let suspects = record.ledgers.indices.filter {
      record.ledgers[$0].closedAtMs == 0 || $0 >= record.ledgers.count - 2
    }
    // A ledger that was looked for and does not exist has an entry without a reader.
    var recovered: [Int64: SegmentReader?] = [:]
    try await withThrowingTaskGroup(of: (Int64, SegmentReader?).self) { group in
      for index in suspects {
        let id = record.ledgers[index].ledgerID
        group.addTask { (id, try await self.recover(id)) }
      }
      for try await (id, reader) in group { recovered[id] = .some(reader) }
    }
    var segments: [LedgerChain.Segment] = []
    for ledger in record.ledgers {
      var segment = LedgerChain.Segment(
        ledgerID: ledger.ledgerID, entries: ledger.entries, size: ledger.size, createdAtMs: ledger.createdAtMs,
        closedAtMs: ledger.closedAtMs)
      let reader = recovered[ledger.ledgerID] ?? nil
      if recovered[ledger.ledgerID] != nil {
        if reader == nil {
          logger.error(
            "a ledger of the topic does not exist, its entries are lost",
            metadata: ["topic": "\(name)", "ledger": "\(ledger.ledgerID)", "entries": "\(ledger.entries)"])
        }
        segment.entries = reader.map { $0.lastEntry + 1 } ?? 0
        segment.size = reader?.length ?? 0
        if segment.closedAtMs == 0 { segment.closedAtMs = wallClockMs() }
      }
      if segment.entries > 0 {
        segments.append(segment)
        if let reader { coldReads.adopt(reader) }
      } else {
        condemned.insert(ledger.ledgerID)
        reader?.close()
      }
    }
    let trimmed = record.hasTrimmedThrough ? record.trimmedThrough.position : Position.earliest
    guard zip(segments, segments.dropFirst()).allSatisfy({ $0.ledgerID < $1.ledgerID }) else {
      throw TopicLogError.metadata(topic: name, reason: "the record's ledgers are out of order")
    }
    chain = LedgerChain(segments: segments, trimmedThrough: trimmed)
  }

  /// Nil if the ledger does not exist.
  private func recover(_ id: Int64) async throws -> SegmentReader? {
    var lastError: (any Error)?
    for attempt in 0..<3 {
      do {
        try await backoff(attempt)
        return try await provider.recover(id, on: eventLoop)
      } catch LedgerError.noSuchLedger {
        return nil
      } catch {
        lastError = error
      }
    }
    throw TopicLogError.readFailed(
      topic: name, reason: "ledger \(id) cannot be recovered: \(lastError.map { "\($0)" } ?? "unknown")")
  }

  private func recoverCursors() async throws {
    let records = try await metadata.list(prefix: keys.cursorPrefix)
    try await withThrowingTaskGroup(of: TopicCursor?.self) { group in
      for record in records {
        group.addTask { try await self.recoverCursor(record) }
      }
      for try await cursor in group {
        if let cursor { cursors[cursor.name] = cursor }
      }
    }
  }

  // MARK: The record

  /// Saves the topic's record as it is now.
  func writeRecord() async throws {
    guard let recordRounds else { throw TopicLogError.closed(topic: name) }
    try await recordRounds.request()
  }

  private func makeRecord() -> TopicRecord {
    var record = TopicRecord()
    record.ledgers = chain.segments.map { segment in
      .with {
        $0.ledgerID = segment.ledgerID
        $0.createdAtMs = segment.createdAtMs
        $0.closedAtMs = segment.closedAtMs
        // What an open ledger holds is known when it is closed.
        $0.entries = segment.closedAtMs > 0 ? segment.entries : 0
        $0.size = segment.closedAtMs > 0 ? segment.size : 0
      }
    }
    if let next = prepared.writer {
      record.ledgers.append(
        .with {
          $0.ledgerID = next.id
          $0.createdAtMs = wallClockMs()
        })
    }
    record.epoch = epoch
    record.owner = owner
    record.createdAtMs = createdAtMs
    record.properties = properties
    record.condemnedLedgers = condemned.sorted()
    record.deleting = isDeleting
    if let terminatedAt { record.terminatedAt = PositionRecord(terminatedAt) }
    if chain.trimmedThrough > .earliest { record.trimmedThrough = PositionRecord(chain.trimmedThrough) }
    return record
  }

  /// One compare-and-set of the record, repeated while its outcome is unknown.
  private func putRecord() async throws {
    var lastError: (any Error)?
    for attempt in 0..<5 {
      do {
        try await backoff(attempt)
        guard epoch > 0, let version = recordVersion else { throw TopicLogError.closed(topic: name) }
        if case .fenced? = endReason { throw TopicLogError.fenced(topic: name) }
        recordVersion = try await metadata.put(
          keys.topic, try makeRecord().serializedBytes(), expected: .exactly(version))
        return
      } catch MetadataError.versionMismatch {
        // Either another owner, or an earlier write of ours whose answer was lost.
        guard let present = try await metadata.get(keys.topic), try decode(present).owner == owner else {
          fail(.fenced(topic: name))
          throw TopicLogError.fenced(topic: name)
        }
        recordVersion = present.version
      } catch let error as MetadataError {
        lastError = error
      }
    }
    throw TopicLogError.metadata(topic: name, reason: lastError.map { "\($0)" } ?? "the record keeps changing")
  }
}

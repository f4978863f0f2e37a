import Ledgers
import Logging
import MetadataStore
import NIOCore

/// Keeps one cursor's state: in a ledger of its own while the log is open, in the metadata store after a graceful close.
///
/// The metadata record names the ledger and holds the state as it was when the ledger was started. Confined to the log's
/// loop; one call at a time.
final class CursorStore: @unchecked Sendable {
  private let cursor: String
  private unowned let log: TopicLog
  private let key: String
  private let createdAtMs: Int64
  private var version: MetadataVersion?
  private var writer: SegmentWriter?
  private var openedAt = NIODeadline.now()
  /// The ledger that the record names.
  private var listedLedger: Int64?
  private(set) var lastEntry: Int64 = -1
  private(set) var lastSwitchMs: Int64 = 0

  init(cursor: String, log: TopicLog, version: MetadataVersion?, ledger: Int64?, createdAtMs: Int64) {
    self.cursor = cursor
    self.log = log
    self.key = log.keys.cursor(cursor)
    self.version = version
    self.listedLedger = ledger
    self.createdAtMs = createdAtMs
  }

  /// The ledger that holds the newest state, or -1.
  var ledgerID: Int64 { listedLedger ?? -1 }

  /// Saves a new cursor.
  func create(_ snapshot: CursorSnapshot) async throws {
    try await putRecord(snapshot, ledger: nil)
  }

  /// Saves the state: as one more record of the cursor ledger, or of a new one, or, without bookies, in the metadata store.
  func save(_ snapshot: CursorSnapshot) async throws {
    let bytes = ByteBuffer(bytes: try snapshot.serializedBytes() as [UInt8])
    if let writer, lastEntry + 1 < log.configuration.cursorMaxEntriesPerLedger,
      NIODeadline.now() - openedAt < TimeAmount(log.configuration.cursorRolloverTime)
    {
      do {
        lastEntry = try await append(bytes, to: writer)
        return
      } catch LedgerError.fenced {
        // Whoever fenced it owns the topic now, unless the record says otherwise.
        guard try await log.confirmOwnership() else { throw TopicLogError.fenced(topic: log.name) }
      } catch {
        log.logger.warning(
          "a cursor ledger failed, replacing it",
          metadata: ["topic": "\(log.name)", "cursor": "\(cursor)", "error": "\(error)"])
      }
    }
    try await startLedger(snapshot, bytes)
  }

  private func startLedger(_ snapshot: CursorSnapshot, _ bytes: ByteBuffer) async throws {
    let old = writer
    writer = nil
    let next: SegmentWriter
    do {
      next = try await log.provider.create(
        log.ledgerOptions(log.configuration.cursorLedgerOptions, cursor: cursor), on: log.eventLoop)
      lastEntry = try await append(bytes, to: next)
    } catch {
      log.logger.warning(
        "no cursor ledger can be written, saving the cursor in the metadata store",
        metadata: ["topic": "\(log.name)", "cursor": "\(cursor)", "error": "\(error)"])
      return try await putRecord(snapshot, ledger: nil)
    }
    do {
      try await putRecord(snapshot, ledger: next.id)
    } catch {
      deleteLater(next.id)
      throw error
    }
    writer = next
    openedAt = .now()
    if let old { log.executor.start { _ = try? await old.close() } }
  }

  private func append(_ bytes: ByteBuffer, to writer: SegmentWriter) async throws -> Int64 {
    try await withCheckedThrowingContinuation { continuation in
      writer.append(ByteBuffer(), bytes) { continuation.resume(with: $0.mapError { $0 as any Error }) }
    }
  }

  /// Saves the state in the metadata store, so that the next owner needs no cursor ledger.
  func saveFinally(_ snapshot: CursorSnapshot) async throws {
    try await putRecord(snapshot, ledger: nil)
    writer = nil
  }

  /// Forgets the cursor. If that fails, the next save makes a new record.
  func delete() async throws {
    writer = nil
    do {
      try await log.metadata.delete(key, expected: .any)
    } catch MetadataError.notFound {}
    if let listedLedger { deleteLater(listedLedger) }
    listedLedger = nil
  }

  /// Writes the record; afterwards the ledger that it named before is deleted.
  private func putRecord(_ snapshot: CursorSnapshot, ledger: Int64?) async throws {
    let record = CursorRecord.with {
      $0.epoch = log.epoch
      if let ledger { $0.cursorLedgerID = ledger }
      $0.snapshot = snapshot
      $0.createdAtMs = createdAtMs
      $0.writtenAtMs = wallClockMs()
    }
    let bytes: [UInt8] = try record.serializedBytes()
    var lastError: (any Error)?
    for attempt in 0..<5 {
      do {
        try await log.backoff(attempt)
        version = try await log.metadata.put(key, bytes, expected: version.map { .exactly($0) } ?? .absent)
        let before = listedLedger
        listedLedger = ledger
        lastSwitchMs = wallClockMs()
        if let before, before != ledger { deleteLater(before) }
        return
      } catch MetadataError.versionMismatch {
        try await adoptPresentVersion()
      } catch let error as MetadataError {
        lastError = error
      }
    }
    throw TopicLogError.cursor(
      topic: log.name, cursor: cursor, reason: lastError.map { "\($0)" } ?? "its record keeps changing")
  }

  /// Somebody else wrote the record: an owner before us who does not know yet, ourselves without having got the answer,
  /// or an owner after us.
  private func adoptPresentVersion() async throws {
    guard let present = try await log.metadata.get(key) else {
      version = nil
      return
    }
    let record = try CursorRecord(serializedBytes: present.value)
    guard record.epoch <= log.epoch else {
      log.fail(.fenced(topic: log.name))
      throw TopicLogError.fenced(topic: log.name)
    }
    version = present.version
    if record.hasCursorLedgerID, record.cursorLedgerID != listedLedger {
      if let listedLedger { deleteLater(listedLedger) }
      listedLedger = record.cursorLedgerID
    }
  }

  private func deleteLater(_ id: Int64) {
    let log = self.log
    log.executor.start {
      do {
        try await log.provider.delete(id)
      } catch {
        log.logger.warning(
          "cannot delete an old cursor ledger", metadata: ["ledger": "\(id)", "error": "\(error)"])
      }
    }
  }
}

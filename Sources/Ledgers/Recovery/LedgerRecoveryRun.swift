import BookieWire
import Logging
import MetadataStore
import NIOCore

/// Carries out one ``LedgerRecovery``: talks to bookies and to the metadata store. Confined to the loop.
final class LedgerRecoveryRun: @unchecked Sendable {
  enum Outcome: Sendable {
    case closed(LedgerMetadata)
    /// Somebody else changed the metadata: read it and start over.
    case restart
  }

  private let id: LedgerID
  private let bookies: LoopBookies
  private let store: LedgerMetadataStore
  private let selector: EnsembleSelector
  private let codec: LedgerEntryCodec
  private let key: LedgerMasterKey
  private let metadata: LedgerMetadata
  private let promise: EventLoopPromise<Outcome>

  private var recovery: LedgerRecovery
  private var version: MetadataVersion
  private var actions: [LedgerRecovery.Action] = []
  private var isPerforming = false
  private var isTimerScheduled = false
  /// The bytes of entries that were found and are being written again, as they were found.
  private var found: [EntryID: ByteBuffer] = [:]
  private var releasedThrough: EntryID = -1

  /// Recovers the ledger whose metadata is `start`. To be called on the loop of `bookies`.
  static func run(
    _ id: LedgerID, from start: LedgerMetadataStore.Versioned, bookies: LoopBookies, store: LedgerMetadataStore,
    selector: EnsembleSelector
  ) -> EventLoopFuture<Outcome> {
    let run = LedgerRecoveryRun(id, start, bookies, store, selector)
    run.recovery.start(now: .now(), &run.actions)
    run.perform()
    return run.promise.futureResult
  }

  private init(
    _ id: LedgerID, _ start: LedgerMetadataStore.Versioned, _ bookies: LoopBookies, _ store: LedgerMetadataStore,
    _ selector: EnsembleSelector
  ) {
    self.id = id
    self.bookies = bookies
    self.store = store
    self.selector = selector
    self.version = start.version
    self.codec = LedgerEntryCodec(digest: start.metadata.digest, password: start.metadata.password)
    self.key = LedgerMasterKey(password: start.metadata.password)
    self.metadata = start.metadata
    self.promise = bookies.eventLoop.makePromise()
    self.recovery = LedgerRecovery(
      ledgerID: id, metadata: start.metadata, batchSize: bookies.configuration.recoveryReadBatchSize,
      addTimeout: bookies.configuration.addEntryTimeout)
  }

  private func perform() {
    guard !isPerforming else { return }
    isPerforming = true
    var next = 0
    while next < actions.count {
      let action = actions[next]
      next += 1
      switch action {
      case .writeMetadata(let metadata): write(metadata)
      case .fence(let slot, let bookie): fence(slot, bookie)
      case .read(let entry, let bookie): read(entry, bookie)
      case .write(let entry, let slot, let generation): write(entry, slot, generation)
      case .release(let through): release(through)
      case .changeEnsemble(let change): changeEnsemble(change)
      case .incomplete(let copies): bookies.repairs.report(id, copies)
      case .finished(let metadata): promise.succeed(.closed(metadata))
      case .restart: promise.succeed(.restart)
      case .fail(let error): promise.fail(error)
      }
    }
    actions.removeAll(keepingCapacity: true)
    isPerforming = false
    scheduleTimer()
  }

  private func write(_ metadata: LedgerMetadata) {
    let over = version
    Task { [self] in
      do throws(LedgerError) {
        try await bookies.repairs.store(id)
        let written = try await store.write(id, metadata, over: over)
        bookies.eventLoop.execute { self.wrote(written) }
      } catch {
        bookies.eventLoop.execute {
          self.recovery.metadataFailed(error, &self.actions)
          self.perform()
        }
      }
    }
  }

  private func wrote(_ written: MetadataVersion?) {
    if let written {
      version = written
      recovery.metadataWritten(now: .now(), &actions)
    } else {
      recovery.metadataConflicted(&actions)
    }
    perform()
  }

  private func fence(_ slot: Int, _ bookie: String) {
    bookies.connection(to: bookie).read(
      ledgerID: id, entryID: ReadRequest.lastEntry, fencingKey: key
    ) { code, bytes in
      var answer = LedgerRecovery.FenceAnswer.unknown
      switch ReadMeaning(code) {
      case .found:
        // A damaged answer proves nothing.
        if let bytes, let (header, _) = try? self.codec.decode(bytes, ledgerID: self.id, entryID: nil) {
          answer = .lastConfirmed(header.lastAddConfirmed, last: header.entryID)
        }
      case .absent: answer = .nothing
      case .doubtful, .noAnswer: break
      }
      self.note(code, bookie)
      self.recovery.fenceAnswered(slot: slot, answer, now: .now(), &self.actions)
      self.perform()
    }
  }

  private func read(_ entry: EntryID, _ bookie: String) {
    bookies.connection(to: bookie).read(ledgerID: id, entryID: entry, fencingKey: key) { code, bytes in
      var answer = LedgerRecovery.ReadAnswer.unknown
      switch ReadMeaning(code) {
      case .found:
        if let bytes, let (header, _) = try? self.codec.decode(bytes, ledgerID: self.id, entryID: entry) {
          answer = .found(cumulativeLength: header.length)
          if entry > self.releasedThrough, self.found[entry] == nil { self.found[entry] = bytes }
        }
      case .absent: answer = .absent
      case .doubtful, .noAnswer: break
      }
      self.note(code, bookie)
      self.recovery.readAnswered(entry, bookie: bookie, answer, now: .now(), &self.actions)
      self.perform()
    }
  }

  private func write(_ entry: EntryID, _ slot: Int, _ generation: UInt32) {
    guard let bytes = found[entry], let ensemble = recovery.writer?.ensemble, ensemble.indices.contains(slot) else {
      return
    }
    bookies.connection(to: ensemble[slot]).add(
      EntryBytes(head: bytes), ledgerID: id, entryID: entry, flags: [.recoveryAdd, .highPriority], key: key,
      receiver: self, slot: slot, generation: generation)
  }

  private func release(_ through: EntryID) {
    releasedThrough = through
    found = found.filter { $0.key > through }
  }

  private func changeEnsemble(_ change: LedgerWriter.EnsembleChange) {
    for slot in change.slots { bookies.directory.noteFailure(of: change.ensemble[slot]) }
    Task { [self] in
      try? await bookies.directory.refresh()
      let (ensemble, replaced) = selector.replacements(for: change, of: metadata)
      bookies.eventLoop.execute { [self] in
        recovery.ensembleChanged(ensemble, replaced: replaced, now: .now(), &actions)
        perform()
      }
    }
  }

  private func note(_ code: BookieReturnCode?, _ bookie: String) {
    guard let code, code != .ok, !code.isNegative else { return }
    bookies.logger.info(
      "A bookie refused to help with a recovery.",
      metadata: ["ledger": "\(id)", "bookie": "\(bookie)", "answer": "\(code)"])
  }

  private func scheduleTimer() {
    guard !isTimerScheduled, recovery.needsTicks else { return }
    isTimerScheduled = true
    let period = max(1_000_000, bookies.configuration.addEntryTimeout.nanoseconds / 10)
    bookies.eventLoop.scheduleTask(in: .nanoseconds(period)) {
      self.isTimerScheduled = false
      self.recovery.tick(now: .now(), &self.actions)
      self.perform()
    }
  }
}

extension LedgerRecoveryRun: BookieAddReceiver {
  func addAnswered(_ entry: EntryID, slot: Int, generation: UInt32, _ code: BookieReturnCode?) {
    if code == .ok {
      recovery.addAcknowledged(entry, slot: slot, generation: generation, now: .now(), &actions)
    } else {
      recovery.addFailed(
        entry, slot: slot, generation: generation, LedgerWriter.Failure(code), now: .now(), &actions)
    }
    perform()
  }
}

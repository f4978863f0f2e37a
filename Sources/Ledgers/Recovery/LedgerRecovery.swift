import DequeModule
import NIOCore

/// Decides how a ledger whose writer is gone is brought to its end. A value without I/O.
///
/// In order: claim (open → inRecovery, by compare-and-set), fence the last ensemble, read on from the highest last-confirmed
/// entry with fencing reads, write every entry found to its whole write set again, stop at the first entry that provably
/// was never acknowledged, close (by compare-and-set). Whatever is not known stops the recovery without closing: several
/// recoveries may run at once or one after the other, and the metadata decides which one counts.
struct LedgerRecovery {
  enum Action: Equatable {
    /// Write this over the version of the metadata that the recovery started from (or last wrote).
    case writeMetadata(LedgerMetadata)
    /// Fence the bookie and ask for its last entry.
    case fence(slot: Int, bookie: String)
    /// Read the entry, fencing.
    case read(EntryID, bookie: String)
    /// Write the bytes that were read of the entry to the bookie at `slot` of the writer's ensemble, past the fence.
    case write(EntryID, slot: Int, generation: UInt32)
    /// All bytes read of entries up to this one can be let go.
    case release(through: EntryID)
    /// Find replacements, for this recovery only; then call `ensembleChanged`.
    case changeEnsemble(LedgerWriter.EnsembleChange)
    /// Entries of the ledger of which a bookie may not have its copy. Has to be stored before the `writeMetadata` behind it
    /// closes the ledger: then nobody looks for them any more.
    case incomplete(SuspectCopies)
    /// The ledger is closed, as the metadata says.
    case finished(LedgerMetadata)
    /// Somebody else changed the metadata: read it again and start over.
    case restart
    /// It could not be decided where the ledger ends.
    case fail(LedgerError)
  }

  /// A bookie's answer to a fence.
  enum FenceAnswer: Equatable {
    /// Its last entry, whose number is `last`, carries this last-confirmed entry.
    case lastConfirmed(EntryID, last: EntryID = EntryID.max)
    /// It has no entry of the ledger.
    case nothing
    /// No answer, damage, or a doubt.
    case unknown
  }

  /// A bookie's answer to a read.
  enum ReadAnswer: Equatable {
    /// It has the entry, whose digest is right; the ledger's payload bytes up to and including it.
    case found(cumulativeLength: Int64)
    /// It never had the entry.
    case absent
    /// No answer, damage, or a doubt.
    case unknown
  }

  private enum Phase { case idle, claiming, fencing, reading, draining, measuring, closing, ended }

  fileprivate struct Reading {
    var asked: UInt64
    var answered: UInt64 = 0
    var absent = 0
    var length: Int64?
  }

  let ledgerID: LedgerID
  private let batchSize: Int
  private let addTimeout: TimeAmount
  private let striping: LedgerStriping
  /// As the recovery found it: reads go by this, whatever happens to the ensemble meanwhile.
  private let snapshot: LedgerMetadata
  private var result: LedgerMetadata
  private var phase = Phase.idle
  private var fenced: UInt64 = 0
  private var fenceAnswers: UInt64 = 0
  private var startEntry: EntryID
  private var readings = Deque<Reading>()
  private var nextToDecide: EntryID = 0
  private var lastLength: Int64?
  private var measuring: Reading?
  private var writerActions: [LedgerWriter.Action] = []
  /// The last entry that each place of the last ensemble has, as far as they said; -1: none.
  private var lastStored: [EntryID?]
  private var incomplete: [SuspectCopies] = []
  private(set) var writer: LedgerWriter?

  init(ledgerID: LedgerID, metadata: LedgerMetadata, batchSize: Int = 32, addTimeout: TimeAmount = .seconds(5)) {
    self.ledgerID = ledgerID
    self.batchSize = max(1, batchSize)
    self.addTimeout = addTimeout
    self.snapshot = metadata
    self.result = metadata
    self.startEntry = metadata.lastSegment.firstEntry - 1
    self.lastStored = Array(repeating: nil, count: metadata.ensembleSize)
    self.striping = LedgerStriping(
      ensembleSize: metadata.ensembleSize, writeQuorum: metadata.writeQuorumSize, ackQuorum: metadata.ackQuorumSize)
  }

  /// Whether it has come to an end, good or bad.
  var isEnded: Bool { phase == .ended }
  /// Whether `tick` has something to watch.
  var needsTicks: Bool { !isEnded && writer?.needsTicks ?? false }

  // MARK: Events

  mutating func start(now: NIODeadline, _ actions: inout [Action]) {
    guard phase == .idle else { return }
    switch snapshot.state {
    case .closed:
      phase = .ended
      actions.append(.finished(snapshot))
    case .open:
      phase = .claiming
      result.state = .inRecovery
      actions.append(.writeMetadata(result))
    case .inRecovery:
      fence(&actions)
    }
  }

  /// The metadata asked for by `writeMetadata` is in place.
  mutating func metadataWritten(now: NIODeadline, _ actions: inout [Action]) {
    switch phase {
    case .claiming: fence(&actions)
    case .closing:
      phase = .ended
      actions.append(.finished(result))
    default: break
    }
  }

  /// Somebody else wrote the metadata first.
  mutating func metadataConflicted(_ actions: inout [Action]) {
    guard phase == .claiming || phase == .closing else { return }
    phase = .ended
    actions.append(.restart)
  }

  /// Whether the metadata were written is unknown.
  mutating func metadataFailed(_ error: LedgerError, _ actions: inout [Action]) {
    guard phase == .claiming || phase == .closing else { return }
    fail(error, &actions)
  }

  mutating func fenceAnswered(slot: Int, _ answer: FenceAnswer, now: NIODeadline, _ actions: inout [Action]) {
    guard lastStored.indices.contains(slot) else { return }
    // Also an answer that comes too late to matter for the fence tells what the bookie has; unless its last entry may be one
    // that was written again meanwhile, perhaps behind a gap.
    switch answer {
    case .lastConfirmed(_, let last) where writer == nil || last <= startEntry: lastStored[slot] = last
    case .lastConfirmed: break
    case .nothing: lastStored[slot] = -1
    case .unknown: break
    }
    guard phase == .fencing else { return }
    fenceAnswers |= 1 << UInt64(slot)
    switch answer {
    case .lastConfirmed(let entry, _):
      fenced |= 1 << UInt64(slot)
      startEntry = max(startEntry, entry)
    case .nothing:
      fenced |= 1 << UInt64(slot)
    case .unknown: break
    }
    if striping.covers({ [fenced] in fenced & (1 << UInt64($0)) != 0 }) {
      startReading(now: now, &actions)
    } else if fenceAnswers.nonzeroBitCount == striping.ensembleSize {
      let silent = (0..<striping.ensembleSize).filter { fenced & (1 << UInt64($0)) == 0 }
      fail(
        .dataUnavailable(
          "ledger \(ledgerID) could not be fenced; without an answer: "
            + silent.map { snapshot.lastSegment.ensemble[$0] }.joined(separator: ", ") + "."), &actions)
    }
  }

  mutating func readAnswered(
    _ entry: EntryID, bookie: String, _ answer: ReadAnswer, now: NIODeadline, _ actions: inout [Action]
  ) {
    guard let slot = snapshot.ensemble(of: entry).firstIndex(of: bookie) else { return }
    if phase == .measuring, entry == nextToDecide - 1, var reading = measuring {
      reading.record(slot: slot, answer)
      measuring = reading
      if let length = reading.length {
        close(length: length, &actions)
      } else if reading.answered == reading.asked {
        fail(.dataUnavailable("the last entry (\(entry)) of ledger \(ledgerID) cannot be read."), &actions)
      }
      return
    }
    guard phase == .reading, entry >= nextToDecide, entry - nextToDecide < Int64(readings.count) else { return }
    readings[Int(entry - nextToDecide)].record(slot: slot, answer)
    decide(now: now, &actions)
  }

  mutating func addAcknowledged(
    _ entry: EntryID, slot: Int, generation: UInt32, now: NIODeadline, _ actions: inout [Action]
  ) {
    guard phase != .ended, writer != nil else { return }
    writer?.acknowledged(entry, slot: slot, generation: generation, &writerActions)
    forwardWriterActions(now: now, &actions)
  }

  mutating func addFailed(
    _ entry: EntryID, slot: Int, generation: UInt32, _ reason: LedgerWriter.Failure, now: NIODeadline,
    _ actions: inout [Action]
  ) {
    guard phase != .ended, writer != nil else { return }
    // A bookie that refuses a write past the fence is a bookie that does not work.
    writer?.failed(entry, slot: slot, generation: generation, reason == .fenced ? .bookie : reason, &writerActions)
    forwardWriterActions(now: now, &actions)
  }

  /// Replacements were found for the places `replaced`. They become known to others only when the ledger is closed.
  mutating func ensembleChanged(
    _ ensemble: [String], replaced: [Int], now: NIODeadline, _ actions: inout [Action]
  ) {
    guard phase != .ended, let change = writer?.change else { return }
    if !replaced.isEmpty { result.setEnsemble(ensemble, from: change.firstEntry) }
    writer?.ensembleChanged(ensemble, replaced: replaced, now: now, &writerActions)
    forwardWriterActions(now: now, &actions)
  }

  mutating func tick(now: NIODeadline, _ actions: inout [Action]) {
    guard phase != .ended, writer != nil else { return }
    writer?.tick(now: now, &writerActions)
    forwardWriterActions(now: now, &actions)
  }

  // MARK: Rules

  private mutating func fence(_ actions: inout [Action]) {
    phase = .fencing
    for (slot, bookie) in snapshot.lastSegment.ensemble.enumerated() {
      actions.append(.fence(slot: slot, bookie: bookie))
    }
  }

  private mutating func startReading(now: NIODeadline, _ actions: inout [Action]) {
    phase = .reading
    nextToDecide = startEntry + 1
    writer = LedgerWriter(
      ledgerID: ledgerID, striping: striping, ensemble: snapshot.lastSegment.ensemble, lastAddConfirmed: startEntry,
      confirmation: .everyReachable, addTimeout: addTimeout, retryDelay: .hours(24))
    readAhead(&actions)
  }

  private mutating func readAhead(_ actions: inout [Action]) {
    while readings.count + (writer?.pendingCount ?? 0) < batchSize {
      let entry = nextToDecide + EntryID(readings.count)
      readings.append(ask(for: entry, &actions))
    }
  }

  private func ask(for entry: EntryID, _ actions: inout [Action]) -> Reading {
    let ensemble = snapshot.ensemble(of: entry)
    var asked: UInt64 = 0
    for slot in striping.writeSet(of: entry) {
      asked |= 1 << UInt64(slot)
      actions.append(.read(entry, bookie: ensemble[slot]))
    }
    return Reading(asked: asked)
  }

  private mutating func decide(now: NIODeadline, _ actions: inout [Action]) {
    while phase == .reading, let first = readings.first {
      if let length = first.length {
        readings.removeFirst()
        nextToDecide += 1
        lastLength = length
        _ = writer?.append(size: 0, now: now, &writerActions)
        forwardWriterActions(now: now, &actions)
      } else if first.absent >= striping.negativesThatProveAbsence {
        phase = .draining
        readings.removeAll()
      } else if first.answered == first.asked {
        fail(
          .dataUnavailable(
            "whether ledger \(ledgerID) has an entry \(nextToDecide) is unknown: too few bookies of "
              + "\(snapshot.lastSegment.ensemble.joined(separator: ", ")) answered."), &actions)
      } else {
        break
      }
    }
    if phase == .reading { readAhead(&actions) }
    finishDraining(&actions)
  }

  private mutating func finishDraining(_ actions: inout [Action]) {
    guard phase == .draining, let writer, writer.isIdle else { return }
    let last = nextToDecide - 1
    if last < 0 {
      close(length: 0, &actions)
    } else if let lastLength {
      close(length: lastLength, &actions)
    } else {
      phase = .measuring
      measuring = ask(for: last, &actions)
    }
  }

  private mutating func close(length: Int64, _ actions: inout [Action]) {
    phase = .closing
    writer?.finish(&writerActions)
    for case .incomplete(let copies) in writerActions { incomplete.append(copies) }
    writerActions.removeAll()
    result.state = .closed
    result.lastEntry = nextToDecide - 1
    result.length = length
    for copies in SuspectCopies.merged(incomplete + doubtful()) { actions.append(.incomplete(copies)) }
    actions.append(.writeMetadata(result))
  }

  /// Copies, of entries that were acknowledged before the recovery and so were not written again, which may be missing.
  ///
  /// With ack quorum = write quorum all were there. Else a bookie of the last ensemble has what it was sent up to the last
  /// entry that it has, since it gets entries in order and is replaced when one fails. After a recovery that broke off its
  /// last entry says nothing, for entries were written again behind a gap.
  private func doubtful() -> [SuspectCopies] {
    let segment = snapshot.lastSegment
    guard striping.ackQuorum < striping.writeQuorum, startEntry >= segment.firstEntry else { return [] }
    return segment.ensemble.enumerated().compactMap { slot, bookie in
      let certain = snapshot.state == .open ? lastStored[slot] ?? -1 : -1
      let first = max(segment.firstEntry, certain == EntryID.max ? certain : certain + 1)
      return first <= startEntry ? SuspectCopies(bookie: bookie, first: first, last: startEntry) : nil
    }
  }

  private mutating func fail(_ error: LedgerError, _ actions: inout [Action]) {
    phase = .ended
    actions.append(.fail(error))
  }

  private mutating func forwardWriterActions(now: NIODeadline, _ actions: inout [Action]) {
    var confirmed = false
    for action in writerActions {
      switch action {
      case .send(let entry, let slot, let generation):
        actions.append(.write(entry, slot: slot, generation: generation))
      case .confirm(let entry):
        confirmed = true
        actions.append(.release(through: entry))
      case .changeEnsemble(let change): actions.append(.changeEnsemble(change))
      case .lookForBookies: break  // It ends before it could look for long.
      case .incomplete(let copies): incomplete.append(copies)
      case .fail(_, let error):
        fail(error, &actions)
      }
    }
    writerActions.removeAll(keepingCapacity: true)
    if confirmed, phase == .reading { readAhead(&actions) }
    finishDraining(&actions)
  }
}

extension LedgerRecovery.Reading {
  /// Notes a bookie's answer; only its first one counts.
  fileprivate mutating func record(slot: Int, _ answer: LedgerRecovery.ReadAnswer) {
    let bit: UInt64 = 1 << UInt64(slot)
    guard asked & bit != 0, answered & bit == 0 else { return }
    answered |= bit
    switch answer {
    case .found(let cumulativeLength): length = cumulativeLength
    case .absent: absent += 1
    case .unknown: break
    }
  }
}

import BookieWire
import NIOCore

/// Carries out one ``LedgerReader``: asks bookies, verifies what they return, watches the time. Confined to the loop.
final class LedgerReadOperation: @unchecked Sendable {
  private let bookies: LoopBookies
  private let codec: LedgerEntryCodec
  private let ledgerID: LedgerID
  private let completion: (Result<[LedgerEntry], LedgerError>) -> Void
  private let start = NIODeadline.now()
  private var reader: LedgerReader
  private var actions: [LedgerReader.Action] = []
  private var isPerforming = false
  private var timer: Scheduled<Void>?
  private var timerDeadline = NIODeadline.distantFuture

  /// Starts to read; `completion` runs once, on the loop, and not before this returns.
  static func start(
    _ reader: LedgerReader, codec: LedgerEntryCodec, bookies: LoopBookies,
    completion: @escaping (Result<[LedgerEntry], LedgerError>) -> Void
  ) {
    let operation = LedgerReadOperation(reader, codec, bookies, completion)
    operation.reader.start(now: .now(), &operation.actions)
    operation.perform()
  }

  private init(
    _ reader: LedgerReader, _ codec: LedgerEntryCodec, _ bookies: LoopBookies,
    _ completion: @escaping (Result<[LedgerEntry], LedgerError>) -> Void
  ) {
    self.reader = reader
    self.ledgerID = reader.ledgerID
    self.codec = codec
    self.bookies = bookies
    self.completion = completion
  }

  private func perform() {
    guard !isPerforming else { return }
    isPerforming = true
    var next = 0
    while next < actions.count {
      let action = actions[next]
      next += 1
      switch action {
      case .read(let from, 1, _, let bookie): readOne(from, bookie)
      case .read(let from, let count, let maxBytes, let bookie): readBatch(from, count, maxBytes, bookie)
      case .repair(let entry, let bookie):
        bookies.repairs.report(ledgerID, SuspectCopies(bookie: bookie, first: entry, last: entry))
      case .finish(let result):
        timer?.cancel()
        timer = nil
        switch result {
        case .success:
          bookies.figures.reads.latency.record(nanoseconds: (NIODeadline.now() - start).nanoseconds)
        case .failure: bookies.figures.reads.failures += 1
        }
        completion(result)
      }
    }
    actions.removeAll(keepingCapacity: true)
    isPerforming = false
    updateTimer()
  }

  private func readOne(_ entry: EntryID, _ bookie: String) {
    let start = asked(bookie)
    bookies.connection(to: bookie).read(ledgerID: ledgerID, entryID: entry) { code, bytes in
      self.bookies.health.answered(bookie, after: .now() - start, isAnswer: code != nil)
      self.answered(entry, bookie, code, bytes.map { [$0] } ?? [])
    }
  }

  private func readBatch(_ from: EntryID, _ count: Int, _ maxBytes: Int, _ bookie: String) {
    let start = asked(bookie)
    let wanted = maxBytes.addingReportingOverflow(36 + (codec.overhead + 4) * min(count, 64))
    bookies.connection(to: bookie).batchRead(
      ledgerID: ledgerID, from: from, count: count, maxBytes: wanted.overflow ? Int.max : wanted.partialValue
    ) { code, entries in
      self.bookies.health.answered(bookie, after: .now() - start, isAnswer: code != nil)
      self.answered(from, bookie, code, entries)
    }
  }

  private func asked(_ bookie: String) -> NIODeadline {
    bookies.health.asked(bookie)
    return .now()
  }

  private func answered(_ from: EntryID, _ bookie: String, _ code: BookieReturnCode?, _ raw: [ByteBuffer]) {
    guard !reader.isFinished else { return }
    let answer: LedgerReader.Answer
    switch ReadMeaning(code) {
    case .found:
      let verified = verify(raw, from, bookie)
      answer = verified.isEmpty ? .damaged : .entries(verified)
    case .absent: answer = .absent
    case .doubtful: answer = .damaged
    case .noAnswer: answer = .failed
    }
    reader.answered(from: from, bookie: bookie, answer, now: .now(), &actions)
    perform()
  }

  /// The leading entries whose bytes are what the writer wrote.
  private func verify(_ raw: [ByteBuffer], _ from: EntryID, _ bookie: String) -> [LedgerEntry] {
    var entries: [LedgerEntry] = []
    entries.reserveCapacity(raw.count)
    for (index, bytes) in raw.enumerated() {
      do {
        let (header, payload) = try codec.decode(bytes, ledgerID: ledgerID, entryID: from + EntryID(index))
        entries.append(
          LedgerEntry(
            ledgerID: ledgerID, entryID: header.entryID, cumulativeLength: header.length, payload: payload))
      } catch {
        bookies.figures.damagedAnswers += 1
        bookies.logger.warning(
          "A bookie returned damaged bytes; another replica is asked.",
          metadata: ["bookie": "\(bookie)", "error": "\(error)"])
        break
      }
    }
    return entries
  }

  private func updateTimer() {
    guard let deadline = reader.nextDeadline, deadline != .distantFuture else { return }
    if timer != nil, timerDeadline <= deadline { return }
    timer?.cancel()
    timerDeadline = deadline
    timer = bookies.eventLoop.scheduleTask(deadline: deadline) {
      self.timer = nil
      let before = self.actions.count
      self.reader.tick(now: .now(), &self.actions)
      self.bookies.figures.speculativeReads += Int64(self.actions.count - before)
      self.perform()
    }
  }
}

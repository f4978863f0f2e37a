import Ledgers
import NIOCore

/// Reads from bookies what the tail cache does not hold.
///
/// Fetches more than was asked for and keeps it for a while, so that who reads on, or reads the same, finds it here.
/// Readers that ask for the same place at the same time share one fetch. Confined to the log's loop.
final class ColdReads {
  typealias Completion = (Result<[LogEntry], LedgerError>) -> Void

  fileprivate struct Run {
    let ledgerID: Int64
    let firstEntry: Int64
    let entries: [LogEntry]
    let bytes: Int
    var lastUsed: NIODeadline
  }

  fileprivate struct Waiter {
    let maxEntries: Int
    let maxBytes: Int
    let completion: Completion
  }

  private enum Handle {
    case opening([(Result<SegmentReader, LedgerError>) -> Void])
    case open(SegmentReader, lastUsed: NIODeadline)
  }

  private static let maximumRuns = 8
  private static let maximumHandles = 16

  private unowned let log: TopicLog
  private var runs: [Run] = []
  private var fetching: [Position: [Waiter]] = [:]
  private var handles: [Int64: Handle] = [:]

  init(log: TopicLog) {
    self.log = log
  }

  deinit {
    for run in runs { budget.release(run.bytes) }
  }

  private lazy var budget = log.cacheBudget

  var holdsEntries: Bool { !runs.isEmpty }
  var bytes: Int { runs.reduce(0) { $0 + $1.bytes } }

  /// Reads from `start`, which exists in a ledger with `entries` confirmed entries.
  func read(
    from start: Position, entries: Int64, maxEntries: Int, maxBytes: Int, readAhead: Bool,
    completion: @escaping Completion
  ) {
    let waiter = Waiter(maxEntries: maxEntries, maxBytes: maxBytes, completion: completion)
    if let index = runs.firstIndex(where: { $0.holds(start) }) {
      runs[index].lastUsed = .now()
      return waiter.serve(runs[index].entries, from: Int(start.entryID - runs[index].firstEntry))
    }
    if fetching[start] != nil {
      fetching[start]?.append(waiter)
      return
    }
    fetching[start] = [waiter]
    let count = Int64(readAhead ? max(maxEntries, log.configuration.readAheadEntries) : maxEntries)
    let through = min(entries - 1, start.entryID.addingReportingOverflow(count - 1).partialValue)
    let limit = readAhead ? max(maxBytes, log.configuration.readAheadBytes) : maxBytes
    fetch(start, through: through < start.entryID ? entries - 1 : through, maxBytes: max(1, limit), mayRetry: true)
  }

  private func fetch(_ start: Position, through: Int64, maxBytes: Int, mayRetry: Bool) {
    let done: Completion = { [weak log] result in log?.coldReads.fetched(start, result) }
    let answer: (Result<[LedgerEntry], LedgerError>) -> Void = { [weak log] result in
      switch result {
      case .success(let entries):
        done(
          .success(
            entries.map {
              LogEntry(
                position: Position(ledgerID: start.ledgerID, entryID: $0.entryID), payload: $0.payload,
                cumulativeLength: $0.cumulativeLength)
            }))
      case .failure(let error):
        // The handle may be older than the ledger's state: try once with a fresh one.
        guard mayRetry, let reads = log?.coldReads else { return done(.failure(error)) }
        reads.forgetHandle(start.ledgerID)
        reads.fetch(start, through: through, maxBytes: maxBytes, mayRetry: false)
      }
    }
    if let writer = log.liveWriter(start.ledgerID) {
      return writer.read(from: start.entryID, through: through, maxBytes: maxBytes, completion: answer)
    }
    withReader(start.ledgerID) { result in
      switch result {
      case .success(let reader):
        reader.read(from: start.entryID, through: through, maxBytes: maxBytes, completion: answer)
      case .failure(let error): answer(.failure(error))
      }
    }
  }

  private func fetched(_ start: Position, _ result: Result<[LogEntry], LedgerError>) {
    guard let waiters = fetching.removeValue(forKey: start) else { return }
    switch result {
    case .failure(let error):
      for waiter in waiters { waiter.completion(.failure(error)) }
    case .success(let entries):
      guard entries.first?.position == start else {
        let error = LedgerError.dataUnavailable("ledger \(start.ledgerID) did not answer with entry \(start.entryID)")
        for waiter in waiters { waiter.completion(.failure(error)) }
        return
      }
      if entries.count > 1 { keep(entries) }
      for waiter in waiters { waiter.serve(entries, from: 0) }
    }
  }

  private func keep(_ entries: [LogEntry]) {
    guard let first = entries.first?.position else { return }
    let bytes = entries.reduce(0) { $0 + $1.payload.readableBytes }
    while runs.count >= Self.maximumRuns { dropLeastRecentRun() }
    while !budget.reserve(bytes) {
      guard !runs.isEmpty else { return }
      dropLeastRecentRun()
    }
    runs.append(
      Run(ledgerID: first.ledgerID, firstEntry: first.entryID, entries: entries, bytes: bytes, lastUsed: .now()))
    log.scheduleEviction()
  }

  private func dropLeastRecentRun() {
    guard let index = runs.indices.min(by: { runs[$0].lastUsed < runs[$1].lastUsed }) else { return }
    budget.release(runs.remove(at: index).bytes)
  }

  /// Drops what nobody used since `deadline`.
  func evict(unusedSince deadline: NIODeadline) {
    runs.removeAll { run in
      guard run.lastUsed < deadline else { return false }
      budget.release(run.bytes)
      return true
    }
  }

  // MARK: Handles

  /// Takes over a handle that is open.
  func adopt(_ reader: SegmentReader) {
    handles[reader.id] = .open(reader, lastUsed: .now())
    closeIdleHandles()
  }

  private func withReader(_ id: Int64, _ body: @escaping (Result<SegmentReader, LedgerError>) -> Void) {
    switch handles[id] {
    case .open(let reader, _):
      handles[id] = .open(reader, lastUsed: .now())
      body(.success(reader))
    case .opening(let waiting):
      handles[id] = .opening(waiting + [body])
    case nil:
      handles[id] = .opening([body])
      let log = self.log
      log.executor.start {
        let result: Result<SegmentReader, LedgerError>
        do {
          result = .success(try await log.provider.open(id, on: log.eventLoop))
        } catch let error as LedgerError {
          result = .failure(error)
        } catch {
          result = .failure(.dataUnavailable("\(error)"))
        }
        log.coldReads.opened(id, result)
      }
    }
  }

  private func opened(_ id: Int64, _ result: Result<SegmentReader, LedgerError>) {
    guard case .opening(let waiting)? = handles.removeValue(forKey: id) else {
      if case .success(let reader) = result { reader.close() }
      return
    }
    if case .success(let reader) = result { adopt(reader) }
    for body in waiting { body(result) }
  }

  private func closeIdleHandles() {
    while handles.count > Self.maximumHandles {
      var oldest: (id: Int64, reader: SegmentReader, lastUsed: NIODeadline)?
      for (id, handle) in handles {
        guard case .open(let reader, let lastUsed) = handle, lastUsed < oldest?.lastUsed ?? .distantFuture else {
          continue
        }
        oldest = (id, reader, lastUsed)
      }
      guard let oldest else { return }
      handles[oldest.id] = nil
      oldest.reader.close()
    }
  }

  private func forgetHandle(_ id: Int64) {
    guard case .open(let reader, _)? = handles[id] else { return }
    handles[id] = nil
    reader.close()
  }

  /// Forgets ledgers that are no longer part of the log.
  func forget(_ ids: [Int64]) {
    for id in ids { forgetHandle(id) }
    runs.removeAll { run in
      guard ids.contains(run.ledgerID) else { return false }
      budget.release(run.bytes)
      return true
    }
  }

  /// Lets go of everything; reads under way still get their answers.
  func close() {
    for run in runs { budget.release(run.bytes) }
    runs = []
    for handle in handles.values {
      if case .open(let reader, _) = handle { reader.close() }
    }
    handles = handles.filter { if case .opening = $0.value { true } else { false } }
  }
}

extension ColdReads.Run {
  fileprivate func holds(_ position: Position) -> Bool {
    position.ledgerID == ledgerID && position.entryID >= firstEntry
      && position.entryID - firstEntry < Int64(entries.count)
  }
}

extension ColdReads.Waiter {
  /// Answers with the part of `entries` that this reader asked for.
  fileprivate func serve(_ entries: [LogEntry], from start: Int) {
    var end = start
    var bytes = 0
    while end < entries.count, end - start < maxEntries {
      bytes += entries[end].payload.readableBytes
      if end > start, bytes > maxBytes { break }
      end += 1
    }
    completion(.success(start == 0 && end == entries.count ? entries : Array(entries[start..<end])))
  }
}

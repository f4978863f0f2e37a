import DequeModule
import NIOCore

/// Decides how one range of a ledger is read: which replica is asked when, and what the reader gets. A value without I/O.
///
/// Each entry is asked of one bookie of its write set; the next is asked when that one fails, has no such entry or damaged
/// bytes, or is slow (a speculative read: the first good answer wins). Where every bookie has every entry, one bookie is
/// asked for many entries at once. The result is the contiguous run from the first entry, at least one entry long.
struct LedgerReader {
  enum Action: Equatable {
    /// Ask `bookie` for `count` entries from `from` on (one, unless in batches).
    case read(from: EntryID, count: Int, maxBytes: Int, bookie: String)
    /// The bookie lacks its copy of the entry, or has it damaged, and another bookie has it.
    case repair(EntryID, bookie: String)
    /// The reading has ended.
    case finish(Result<[LedgerEntry], LedgerError>)
  }

  /// A bookie's answer.
  enum Answer: Equatable {
    /// Entries whose digests are right: contiguous, from the one asked for, at least one.
    case entries([LedgerEntry])
    /// It has no such entry.
    case absent
    /// It has the entry, or cannot be sure that it has not, and cannot return it as it was written.
    case damaged
    /// No answer, or none about the entry.
    case failed
  }

  struct Parameters: Sendable {
    var maximumInFlight = 64
    var speculativeDelay = TimeAmount.milliseconds(500)
    var allowBatches = true
    /// Which bookie is asked first where all have every entry; nil: each entry is asked of its own first place, so that the
    /// bookies share the reading, and batches cannot be used.
    var stickySlot: Int? = 0
    /// What an entry is expected to weigh until entries were seen.
    var expectedEntrySize = 1_024
    /// Every bookie that should have an entry below this one must have it by now.
    var settledBefore = EntryID.max
  }

  private struct Unit {
    var from: EntryID
    var count: Int
    var order: [String]
    var asked = 0
    var answered = Set<String>()
    var absent = 0
    /// Bookies whose copy is missing or damaged.
    var suspects: [String] = []
    var speculateAt = NIODeadline.distantFuture
    var received: [LedgerEntry]?
    var isExhausted: Bool { answered.count == order.count }
  }

  let ledgerID: LedgerID
  let through: EntryID
  private let maxBytes: Int
  private let metadata: LedgerMetadata
  private let striping: LedgerStriping
  private let parameters: Parameters
  private let ranks: [String: Int]
  private let usesBatches: Bool

  private var units = Deque<Unit>()
  private var nextToAsk: EntryID
  private var prefix: [LedgerEntry] = []
  private var prefixBytes = 0
  private var inFlight = 0
  private var seenBytes = 0
  private var seenEntries = 0
  private(set) var isFinished = false

  /// Reads `from...through`; both must exist as far as the caller knows. `ranks` orders bookies: those of higher
  /// ranks are asked after those of lower ones; without a rank it is 0.
  init(
    ledgerID: LedgerID, metadata: LedgerMetadata, from: EntryID, through: EntryID, maxBytes: Int,
    parameters: Parameters = Parameters(), ranks: [String: Int] = [:]
  ) {
    self.ledgerID = ledgerID
    self.metadata = metadata
    self.through = through
    self.maxBytes = maxBytes
    self.parameters = parameters
    self.ranks = ranks
    self.nextToAsk = from
    self.striping = LedgerStriping(
      ensembleSize: metadata.ensembleSize, writeQuorum: metadata.writeQuorumSize, ackQuorum: metadata.ackQuorumSize)
    self.usesBatches =
      parameters.allowBatches && parameters.stickySlot != nil
      && metadata.ensembleSize == metadata.writeQuorumSize && through > from
  }

  /// When `tick` should be called next, if at all.
  var nextDeadline: NIODeadline? {
    isFinished ? nil : units.lazy.filter { $0.received == nil }.map(\.speculateAt).min()
  }

  // MARK: Events

  mutating func start(now: NIODeadline, _ actions: inout [Action]) {
    askMore(now: now, &actions)
  }

  mutating func answered(
    from: EntryID, bookie: String, _ answer: Answer, now: NIODeadline, _ actions: inout [Action]
  ) {
    guard !isFinished, let first = units.first, from >= first.from else { return }
    let index = usesBatches ? 0 : Int(from - first.from)
    guard index < units.count, units[index].from == from, units[index].received == nil,
      units[index].answered.insert(bookie).inserted
    else { return }
    switch answer {
    case .entries(let entries) where !entries.isEmpty:
      units[index].received = entries
      inFlight -= 1
      for suspect in units[index].suspects { actions.append(.repair(from, bookie: suspect)) }
      seenEntries += entries.count
      seenBytes += entries.reduce(0) { $0 + $1.payload.readableBytes }
      takePrefix(&actions)
      if !isFinished { askMore(now: now, &actions) }
    case .entries, .failed, .absent, .damaged:
      if answer == .absent { units[index].absent += 1 }
      if answer == .damaged || (answer == .absent && from < parameters.settledBefore) {
        units[index].suspects.append(bookie)
      }
      if units[index].asked < units[index].order.count {
        ask(index, now: now, &actions)
      } else if units[index].isExhausted {
        inFlight -= 1
        takePrefix(&actions)
      }
    }
  }

  mutating func tick(now: NIODeadline, _ actions: inout [Action]) {
    guard !isFinished else { return }
    for index in units.indices where units[index].received == nil && units[index].speculateAt <= now {
      ask(index, now: now, &actions)
    }
  }

  // MARK: Rules

  private mutating func askMore(now: NIODeadline, _ actions: inout [Action]) {
    while nextToAsk <= through, inFlight < (usesBatches ? 1 : parameters.maximumInFlight) {
      let average = seenEntries == 0 ? parameters.expectedEntrySize : seenBytes / seenEntries
      let committed = max(seenBytes, prefixBytes) + inFlight * average
      if committed + average > maxBytes {
        guard inFlight == 0 else { return }
        // What is left of the budget would hardly hold another entry.
        if !prefix.isEmpty { return finish(.success(prefix), &actions) }
      }
      let count = usesBatches ? Int(min(through - nextToAsk + 1, 10_000)) : 1
      units.append(Unit(from: nextToAsk, count: count, order: order(for: nextToAsk)))
      nextToAsk += EntryID(count)
      inFlight += 1
      ask(units.count - 1, now: now, &actions)
    }
  }

  private mutating func ask(_ index: Int, now: NIODeadline, _ actions: inout [Action]) {
    let attempt = units[index].asked
    guard attempt < units[index].order.count else {
      units[index].speculateAt = .distantFuture
      return
    }
    units[index].asked += 1
    units[index].speculateAt =
      units[index].asked < units[index].order.count ? now + parameters.speculativeDelay : .distantFuture
    actions.append(
      .read(
        from: units[index].from, count: units[index].count, maxBytes: max(1, maxBytes - prefixBytes),
        bookie: units[index].order[attempt]))
  }

  private func order(for entry: EntryID) -> [String] {
    let ensemble = metadata.ensemble(of: entry)
    var places = striping.writeSet(of: entry)
    if let first = parameters.stickySlot, striping.ensembleSize == striping.writeQuorum {
      places = (0..<striping.ensembleSize).map { ($0 + first) % striping.ensembleSize }
    }
    let bookies = places.map { ensemble[$0] }
    guard !ranks.isEmpty else { return bookies }
    return (0...3).flatMap { rank in bookies.filter { ranks[$0, default: 0] == rank } }
  }

  private mutating func takePrefix(_ actions: inout [Action]) {
    while let unit = units.first {
      if let entries = unit.received {
        units.removeFirst()
        for entry in entries {
          let size = entry.payload.readableBytes
          guard prefix.isEmpty || prefixBytes + size <= maxBytes, entry.entryID <= through else {
            return finish(.success(prefix), &actions)
          }
          prefix.append(entry)
          prefixBytes += size
        }
        // A bookie may stop early: the rest is asked for anew.
        if usesBatches { nextToAsk = unit.from + EntryID(entries.count) }
        if prefixBytes >= maxBytes { return finish(.success(prefix), &actions) }
      } else if unit.isExhausted {
        if !prefix.isEmpty { return finish(.success(prefix), &actions) }
        let error: LedgerError =
          unit.absent == unit.order.count
          ? .noSuchEntry(ledgerID, unit.from)
          : .dataUnavailable(
            "entry \(unit.from) of ledger \(ledgerID) cannot be read from any of "
              + unit.order.joined(separator: ", ") + ".")
        return finish(.failure(error), &actions)
      } else {
        return
      }
    }
    if nextToAsk > through { finish(.success(prefix), &actions) }
  }

  private mutating func finish(_ result: Result<[LedgerEntry], LedgerError>, _ actions: inout [Action]) {
    isFinished = true
    units.removeAll()
    actions.append(.finish(result))
  }
}

import TopicLog

/// Reads entries again whose positions are known: one group of positions at a time, each run of neighbours with one
/// read.
struct ReplayReads {
  /// Neighbouring positions of one ledger.
  struct Run: Equatable, Sendable {
    var first: Position
    var count: Int
    var last: Position { Position(ledgerID: first.ledgerID, entryID: first.entryID + Int64(count) - 1) }
  }

  /// What came back for one run.
  struct Answer {
    var run: Run
    var entries: [LogEntry]
  }

  private(set) var epoch: UInt64 = 0
  private var missing = 0
  private var answers: [Int: Answer] = [:]
  private(set) var didFail = false

  var isReading: Bool { missing > 0 }

  /// Begins to read `positions`, which are sorted and not empty.
  mutating func begin(_ positions: [Position]) -> [Run] {
    var runs: [Run] = []
    for position in positions {
      if let last = runs.last, last.first.ledgerID == position.ledgerID, last.last.entryID + 1 == position.entryID {
        runs[runs.count - 1].count += 1
      } else {
        runs.append(Run(first: position, count: 1))
      }
    }
    missing = runs.count
    answers = [:]
    didFail = false
    return runs
  }

  /// The answer for run number `index`; nil entries for a failure.
  /// - Returns: all answers in order once the last one is there.
  mutating func received(_ entries: [LogEntry]?, run: Run, index: Int, epoch: UInt64) -> [Answer]? {
    guard epoch == self.epoch, missing > 0 else { return nil }
    missing -= 1
    if let entries { answers[index] = Answer(run: run, entries: entries) } else { didFail = true }
    guard missing == 0 else { return nil }
    let sorted = answers.sorted { $0.key < $1.key }.map(\.value)
    answers = [:]
    return sorted
  }

  /// Ignores whatever is on its way.
  mutating func cancel() {
    epoch += 1
    missing = 0
    answers = [:]
  }
}

extension ReplayReads.Answer {
  /// The entries of the run, and the positions of it that no longer exist. What was cut off by a limit of bytes is in
  /// neither.
  func split() -> (found: ArraySlice<LogEntry>, vanished: [Position]) {
    let found = entries.prefix { $0.position <= run.last }
    var vanished: [Position] = []
    var expected = run.first
    for entry in found {
      while expected < entry.position {
        vanished.append(expected)
        expected.entryID += 1
      }
      expected.entryID = entry.position.entryID + 1
    }
    // An answer that reached beyond the run, or nothing at all, proves that the rest is gone.
    if entries.isEmpty || entries.count > found.count {
      while expected <= run.last {
        vanished.append(expected)
        expected.entryID += 1
      }
    }
    return (found, vanished)
  }
}

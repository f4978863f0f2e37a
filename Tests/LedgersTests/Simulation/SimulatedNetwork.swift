import NIOCore

@testable import Ledgers

/// Deliberate mistakes, to prove that the checks find them.
struct Mutations: OptionSet {
  let rawValue: Int
  /// A bookie forgets that it fenced a ledger when it crashes.
  static let fenceIsNotDurable = Mutations(rawValue: 1)
  /// Recovery reads entries without fencing.
  static let recoveryReadsDoNotFence = Mutations(rawValue: 2)
  /// Silence counts as "no such entry".
  static let silenceIsNegative = Mutations(rawValue: 4)
  /// Answers of a replaced bookie count.
  static let generationsAreIgnored = Mutations(rawValue: 8)
  /// The metadata names a new ensemble from a later entry than the writer uses it.
  static let segmentStartsLate = Mutations(rawValue: 16)
  /// Metadata are written without looking at the version.
  static let noCompareAndSet = Mutations(rawValue: 32)
  /// A bookie acknowledges before it stored, and crashes.
  static let acknowledgesBeforeItStores = Mutations(rawValue: 64)
  /// Nobody hears that a bookie may lack copies of confirmed entries.
  static let missingCopiesAreNotReported = Mutations(rawValue: 128)
  /// A repair names the new bookie in the metadata before the copies are there.
  static let repairNamesBeforeItCopies = Mutations(rawValue: 256)
  /// A repair replaces a bookie although an entry could not be copied.
  static let repairSkipsWhatItCannotRead = Mutations(rawValue: 512)
}

/// One bookie's memory of the ledger. What it stores is durable; it may be away.
final class SimulatedBookie {
  struct Stored: Equatable {
    var lastConfirmed: EntryID
    var length: Int64
  }

  enum AddResult { case ok, fenced }

  let id: String
  var isUp = true
  private var isFenced = false
  private(set) var entries: [EntryID: Stored] = [:]
  private var unsynced: [EntryID] = []
  private let mutations: Mutations

  init(id: String, mutations: Mutations) {
    self.id = id
    self.mutations = mutations
  }

  func add(_ entry: EntryID, _ stored: Stored, isRecovery: Bool) -> AddResult {
    if isFenced, !isRecovery { return .fenced }
    if mutations.contains(.acknowledgesBeforeItStores), entries[entry] == nil { unsynced.append(entry) }
    entries[entry] = stored
    return .ok
  }

  func fence() -> Stored? {
    isFenced = true
    return entries.keys.max().flatMap { entries[$0] }
  }

  func read(_ entry: EntryID, fencing: Bool) -> Stored? {
    if fencing { isFenced = true }
    return entries[entry]
  }

  /// The last of `held` up to which it has all of them; -1 if it lacks the first.
  func unbrokenRun(of held: some Sequence<EntryID>) -> EntryID {
    var last: EntryID = -1
    for entry in held {
      guard entries[entry] != nil else { break }
      last = entry
    }
    return last
  }

  func crash() {
    isUp = false
    if mutations.contains(.fenceIsNotDurable) { isFenced = false }
    for entry in unsynced.suffix(3) { entries[entry] = nil }
    unsynced = []
  }
}

/// Time, messages and bookies of one simulated region, driven by one seed.
final class SimulatedNetwork {
  struct Faults {
    var lossPercent = 3
    var duplicatePercent = 5
    var slowPercent = 5
    var unknownPercent = 2
    var blinkPercent = 3
  }

  private struct Event {
    var time: UInt64
    var order: Int
    var run: () -> Void
  }

  static let millisecond: UInt64 = 1_000_000

  var generator: SeededGenerator
  let mutations: Mutations
  let bookies: [String: SimulatedBookie]
  var faults = Faults()
  private(set) var nanoseconds: UInt64 = 0
  private(set) var injected: [String: Int] = [:]
  private var events: [Event] = []
  private var order = 0

  init(seed: UInt64, bookieCount: Int, mutations: Mutations) {
    generator = SeededGenerator(seed: seed)
    self.mutations = mutations
    bookies = Dictionary(
      uniqueKeysWithValues: (0..<bookieCount).map {
        ("b\($0)", SimulatedBookie(id: "b\($0)", mutations: mutations))
      })
  }

  var now: NIODeadline { .uptimeNanoseconds(nanoseconds) }
  var bookieIDs: [String] { bookies.keys.sorted() }

  func chance(_ percent: Int) -> Bool { Int.random(in: 0..<100, using: &generator) < percent }

  func note(_ fault: String) { injected[fault, default: 0] += 1 }

  func after(_ delay: UInt64, _ run: @escaping () -> Void) {
    order += 1
    events.append(Event(time: nanoseconds + delay, order: order, run: run))
    var child = events.count - 1
    while child > 0, isBefore(child, (child - 1) / 2) {
      events.swapAt(child, (child - 1) / 2)
      child = (child - 1) / 2
    }
  }

  func after(ms range: ClosedRange<UInt64>, _ run: @escaping () -> Void) {
    after(
      UInt64.random(in: range.lowerBound * Self.millisecond...range.upperBound * Self.millisecond, using: &generator),
      run)
  }

  /// Runs the next event; false if there is none.
  func step() -> Bool {
    guard let next = events.first else { return false }
    let last = events.removeLast()
    if !events.isEmpty {
      events[0] = last
      var parent = 0
      while true {
        var least = parent
        for child in [2 * parent + 1, 2 * parent + 2] where child < events.count && isBefore(child, least) {
          least = child
        }
        if least == parent { break }
        events.swapAt(parent, least)
        parent = least
      }
    }
    nanoseconds = next.time
    next.run()
    return true
  }

  /// Asks a bookie; the answer is nil if there is none in time. Requests and answers may be lost, late and doubled.
  func call<R>(_ bookie: String, _ request: @escaping (SimulatedBookie) -> R, _ answer: @escaping (R?) -> Void) {
    guard let target = bookies[bookie] else { return answer(nil) }
    var isAnswered = false
    // An answer that comes after the time-out still comes.
    func reply(_ result: R?) {
      if isAnswered, result == nil { return }
      isAnswered = true
      answer(result)
    }
    func deliver() {
      guard target.isUp else {
        if chance(50) { after(ms: 1...3) { reply(nil) } }
        return
      }
      let result = request(target)
      if chance(faults.lossPercent) { return note("lost answers") }
      after(delay()) {
        if self.chance(self.faults.duplicatePercent) {
          self.note("doubled answers")
          answer(result)
        }
        reply(result)
      }
    }
    if chance(faults.lossPercent) {
      note("lost requests")
    } else {
      after(delay()) { deliver() }
      if chance(faults.duplicatePercent) {
        note("doubled requests")
        after(delay()) { deliver() }
      }
    }
    after(100 * Self.millisecond) { reply(nil) }
  }

  /// Now and then a bookie restarts at the worst moment: right after it promised to keep a ledger fenced.
  func blinkSometimes(_ bookie: SimulatedBookie) {
    guard chance(faults.blinkPercent) else { return }
    note("restarts right after a fence")
    bookie.crash()
    after(ms: 1...5) { bookie.isUp = true }
  }

  private func delay() -> UInt64 {
    if chance(faults.slowPercent) {
      note("slow messages")
      return UInt64.random(in: 20 * Self.millisecond...200 * Self.millisecond, using: &generator)
    }
    return UInt64.random(in: Self.millisecond / 10...5 * Self.millisecond, using: &generator)
  }

  private func isBefore(_ one: Int, _ other: Int) -> Bool {
    (events[one].time, events[one].order) < (events[other].time, events[other].order)
  }
}

import BookieWire
import NIOCore

/// Time and messages of one simulated region, from one seed.
final class SimulatedNetwork {
  struct Faults {
    var lossPercent = 0
    var duplicatePercent = 0
    var slowPercent = 0
  }

  private struct Event {
    var time: UInt64
    var order: Int
    var run: () -> Void
  }

  static let millisecond: UInt64 = 1_000_000

  let chance: Chance
  let tally: Tally
  var faults = Faults()
  var servers: [String: SimulatedServer] = [:]
  /// Ways that messages do not pass, from the first to the second.
  private var cuts: Set<[String]> = []
  private(set) var nanoseconds: UInt64 = 1_000_000_000
  private var events: [Event] = []
  private var order = 0

  init(chance: Chance, tally: Tally) {
    self.chance = chance
    self.tally = tally
  }

  var now: NIODeadline { .uptimeNanoseconds(nanoseconds) }
  var bookieIDs: [String] { servers.keys.sorted() }

  // MARK: Time

  func after(_ delay: UInt64, _ run: @escaping () -> Void) {
    order += 1
    events.append(Event(time: nanoseconds + delay, order: order, run: run))
    var child = events.count - 1
    while child > 0, isBefore(child, (child - 1) / 2) {
      events.swapAt(child, (child - 1) / 2)
      child = (child - 1) / 2
    }
  }

  func after(ms range: ClosedRange<Int>, _ run: @escaping () -> Void) {
    let ms = Int(Self.millisecond)
    after(UInt64(chance.number(range.lowerBound * ms...range.upperBound * ms)), run)
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
        for child in [2 * parent + 1, 2 * parent + 2]
        where child < events.count && isBefore(child, least) {
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

  private func isBefore(_ one: Int, _ other: Int) -> Bool {
    (events[one].time, events[one].order) < (events[other].time, events[other].order)
  }

  /// The region is no longer needed.
  func dispose() {
    for server in servers.values { server.dispose() }
    servers = [:]
    events = []
  }

  // MARK: Messages

  /// Messages do not pass from the one to the other for a while.
  func cut(_ from: String, _ to: String, ms: ClosedRange<Int>) {
    guard cuts.insert([from, to]).inserted else { return }
    tally.note("cut ways")
    after(ms: ms) { self.cuts.remove([from, to]) }
  }

  /// Every way is open again, and nothing gets lost any more.
  func heal() {
    faults = Faults()
    cuts = []
  }

  /// Asks a bookie; the answer is nil if there is none in time, and may come later all the same. Requests and answers may be
  /// lost, late, overtaken and doubled.
  func call(
    _ client: String, _ bookie: String, _ request: BookieRequest,
    _ answer: @escaping (BookieResponse?) -> Void
  ) {
    guard let server = servers[bookie] else { return answer(nil) }
    var isAnswered = false
    func reply(_ response: BookieResponse?) {
      if isAnswered, response == nil { return }
      isAnswered = true
      answer(response)
    }
    func arrive() {
      guard server.isRunning else {
        if chance.percent(50) { after(ms: 1...3) { reply(nil) } }
        return
      }
      server.receive(request) { response in
        for _ in 0..<self.copies(bookie, client, "answers") {
          self.after(self.delay()) { reply(response) }
        }
      }
    }
    for _ in 0..<copies(client, bookie, "requests") { after(delay()) { arrive() } }
    after(100 * Self.millisecond) { reply(nil) }
  }

  private func copies(_ from: String, _ to: String, _ what: String) -> Int {
    if cuts.contains([from, to]) {
      tally.note("\(what) on a cut way")
      return 0
    }
    if chance.percent(faults.lossPercent) {
      tally.note("lost \(what)")
      return 0
    }
    guard chance.percent(faults.duplicatePercent) else { return 1 }
    tally.note("doubled \(what)")
    return 2
  }

  private func delay() -> UInt64 {
    if chance.percent(faults.slowPercent) {
      tally.note("slow messages")
      return UInt64(chance.number(20...200)) * Self.millisecond
    }
    return UInt64(chance.number(100...5000)) * 1000
  }
}

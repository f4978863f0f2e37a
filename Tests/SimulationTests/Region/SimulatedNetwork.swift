import BookieWire
import NIOCore

/// Time and messages of one simulated region, from one seed.
///
/// Messages between a client and a bookie are either single ones, each lost, doubled, late or overtaken by itself, or parts of
/// a stream: in order, and nothing more comes through once one is lost, until both sides begin anew.
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
  /// Whether messages are parts of streams.
  var hasStreams = false
  var servers: [String: SimulatedServer] = [:] {
    didSet { bookieIDs = servers.keys.sorted() }
  }
  private(set) var bookieIDs: [String] = []
  /// Ways that messages do not pass, from the first to the second.
  private var cuts: Set<[String]> = []
  private var streams: [[String]: SimulatedStream] = [:]
  private(set) var nanoseconds: UInt64 = 1_000_000_000
  private var events: [Event] = []
  private var order = 0
  /// Differs if anything happened differently.
  private(set) var trace: UInt64 = 0xCBF2_9CE4_8422_2325

  init(chance: Chance, tally: Tally) {
    self.chance = chance
    self.tally = tally
  }

  var now: NIODeadline { .uptimeNanoseconds(nanoseconds) }

  /// The bookies that clients are told of.
  var registered: [String] { bookieIDs.filter { servers[$0]?.isRegistered == true } }

  /// Those of them that take writes.
  var writable: [String] { bookieIDs.filter { servers[$0].map { $0.isRegistered && $0.isWritable } == true } }

  // MARK: Time

  func after(_ delay: UInt64, _ run: @escaping () -> Void) { at(nanoseconds + delay, run) }

  func at(_ time: UInt64, _ run: @escaping () -> Void) {
    order += 1
    let event = Event(time: time, order: order, run: run)
    events.append(event)
    var child = events.count - 1
    while child > 0 {
      let parent = (child - 1) / 2
      guard time < events[parent].time else { break }
      events[child] = events[parent]
      child = parent
    }
    events[child] = event
  }

  func after(ms range: ClosedRange<Int>, _ run: @escaping () -> Void) {
    let ms = Int(Self.millisecond)
    after(UInt64(chance.number(range.lowerBound * ms...range.upperBound * ms)), run)
  }

  /// Runs the next event; false if there is none.
  func step() -> Bool {
    guard let next = events.first else { return false }
    let last = events.removeLast()
    if !events.isEmpty { sink(last) }
    nanoseconds = next.time
    trace = (trace ^ next.time ^ UInt64(next.order) << 40) &* 0x100_0000_01B3
    next.run()
    return true
  }

  private func sink(_ event: Event) {
    var parent = 0
    while true {
      var least = 2 * parent + 1
      guard least < events.count else { break }
      if least + 1 < events.count, isBefore(events[least + 1], events[least]) { least += 1 }
      guard isBefore(events[least], event) else { break }
      events[parent] = events[least]
      parent = least
    }
    events[parent] = event
  }

  private func isBefore(_ one: Event, _ other: Event) -> Bool {
    one.time == other.time ? one.order < other.order : one.time < other.time
  }

  /// The region is no longer needed.
  func dispose() {
    for server in servers.values { server.dispose() }
    servers = [:]
    events = []
  }

  // MARK: Faults

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

  /// The bookie's process has ended: its connections break.
  func disconnect(_ bookie: String) {
    for (ends, stream) in streams.sorted(by: { $0.key[0] < $1.key[0] }) where ends[1] == bookie {
      let epoch = stream.epoch
      after(ms: 0...3) { stream.end(epoch) }
    }
  }

  // MARK: Messages

  /// Asks a bookie; the answer is nil if there is none in time, and may come later all the same.
  func call(
    _ client: String, _ bookie: String, _ request: BookieRequest, _ answer: @escaping (BookieResponse?) -> Void
  ) {
    guard let server = servers[bookie] else { return answer(nil) }
    var isAnswered = false
    func reply(_ response: BookieResponse?) {
      if isAnswered, response == nil { return }
      isAnswered = true
      answer(response)
    }
    after(100 * Self.millisecond) { reply(nil) }
    if hasStreams {
      stream(client, server, request, reply)
    } else {
      datagram(client, server, request, reply)
    }
  }

  private func datagram(
    _ client: String, _ server: SimulatedServer, _ request: BookieRequest, _ reply: @escaping (BookieResponse?) -> Void
  ) {
    func arrive() {
      guard server.isRunning else {
        if chance.percent(50) { after(ms: 1...3) { reply(nil) } }
        return
      }
      server.receive(request) { response in
        for _ in 0..<self.copies(server.bookie.id, client, "answers") {
          self.after(self.delay()) { reply(response) }
        }
      }
    }
    for _ in 0..<copies(client, server.bookie.id, "requests") { after(delay()) { arrive() } }
  }

  private func stream(
    _ client: String, _ server: SimulatedServer, _ request: BookieRequest, _ reply: @escaping (BookieResponse?) -> Void
  ) {
    let bookie = server.bookie.id
    let stream = streams[[client, bookie]] ?? SimulatedStream()
    streams[[client, bookie]] = stream
    let epoch = stream.epoch
    let call = stream.begin(reply)
    guard !stream.isBroken else { return }
    guard !isLost(client, bookie, "requests") else { return breakOff(stream) }
    stream.toBookie = max(stream.toBookie + 1, nanoseconds + delay())
    at(stream.toBookie) { [self] in
      guard stream.epoch == epoch else { return }
      guard server.isRunning else { return after(ms: 1...3) { stream.end(epoch) } }
      server.receive(request) { [self] response in
        guard stream.epoch == epoch, !stream.isBroken else { return }
        guard !isLost(bookie, client, "answers") else { return breakOff(stream) }
        stream.toClient = max(stream.toClient + 1, nanoseconds + delay())
        at(stream.toClient) {
          guard stream.epoch == epoch else { return }
          stream.finish(call, response)
        }
      }
    }
  }

  private func breakOff(_ stream: SimulatedStream) {
    let epoch = stream.epoch
    stream.isBroken = true
    tally.note("broken connections")
    after(ms: 1...60) { stream.end(epoch) }
  }

  private func isLost(_ from: String, _ to: String, _ what: String) -> Bool {
    if !cuts.isEmpty, cuts.contains([from, to]) {
      tally.note("\(what) on a cut way")
      return true
    }
    // One message of a stream takes many others with it.
    if chance.permille(faults.lossPercent * (hasStreams ? 3 : 10)) {
      tally.note("lost \(what)")
      return true
    }
    return false
  }

  private func copies(_ from: String, _ to: String, _ what: String) -> Int {
    guard !isLost(from, to, what) else { return 0 }
    guard chance.percent(faults.duplicatePercent) else { return 1 }
    tally.note("doubled \(what)")
    return 2
  }

  private func delay() -> UInt64 {
    if chance.percent(faults.slowPercent) {
      tally.note("slow messages")
      if !hasStreams, chance.percent(10) {
        tally.note("messages of long ago")
        return UInt64(chance.number(200...1500)) * Self.millisecond
      }
      return UInt64(chance.number(20...200)) * Self.millisecond
    }
    return UInt64(chance.number(100...5000)) * 1000
  }
}

/// A connection of a client to a bookie: both directions keep the order, and it ends as a whole.
final class SimulatedStream {
  /// Increases with each end.
  private(set) var epoch = 0
  /// Something was lost, and nothing behind it arrives.
  var isBroken = false
  /// When the last message of each direction arrives.
  var toBookie: UInt64 = 0
  var toClient: UInt64 = 0
  private var waiting: [Int: (BookieResponse?) -> Void] = [:]
  private var calls = 0

  func begin(_ reply: @escaping (BookieResponse?) -> Void) -> Int {
    calls += 1
    waiting[calls] = reply
    return calls
  }

  func finish(_ call: Int, _ response: BookieResponse) {
    waiting.removeValue(forKey: call)?(response)
  }

  /// Both sides know that it has ended; a new one begins.
  func end(_ ended: Int) {
    guard ended == epoch else { return }
    epoch += 1
    isBroken = false
    let lost = waiting.sorted { $0.key < $1.key }
    waiting = [:]
    for (_, reply) in lost { reply(nil) }
  }
}

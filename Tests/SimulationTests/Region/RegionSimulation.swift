import BookieWire
import NIOCore

@testable import Ledgers

/// A whole region in one thread from one seed: brokers that race for a topic, a metadata store, readers, and bookies with their
/// real storage on simulated disks. First faults of every kind, then none, and everything must come to its end.
final class RegionSimulation {
  /// Deliberate mistakes, to prove that the checks find them.
  enum Mutation: String, CaseIterable, Sendable {
    case fenceNotDurable, silenceIsNegative, generationsIgnored, segmentStartsLate
    case confirmedMovesWhileSegmentStarts, noCompareAndSet
  }

  let chance: Chance
  let tally = Tally()
  let network: SimulatedNetwork
  let metadata: SimulatedMetadata
  let rules = RegionRules()
  let options: LedgerOptions
  let mutation: Mutation?
  private var brokers: [SimulatedBroker] = []
  private var isCalm = false
  private let end: UInt64

  init(seed: UInt64, mutation: Mutation? = nil) throws {
    chance = Chance(seed)
    self.mutation = mutation
    network = SimulatedNetwork(chance: chance, tally: tally)
    metadata = SimulatedMetadata(network)
    let shapes = [
      (3, 2, 2), (3, 3, 2), (3, 3, 3), (5, 3, 2), (4, 2, 1), (1, 1, 1), (5, 3, 3), (2, 2, 2),
      (4, 3, 2),
    ]
    let (size, writeQuorum, ackQuorum) = chance.pick(shapes)
    options = LedgerOptions(
      ensembleSize: size, writeQuorumSize: writeQuorum, ackQuorumSize: ackQuorum)
    end = network.nanoseconds + UInt64(chance.number(400...1200)) * SimulatedNetwork.millisecond
    for index in 0..<size + chance.number(1...2) { try addBookie("b\(index)") }
    metadata.comparesVersions = mutation != .noCompareAndSet
    metadata.onChange = { [rules] in rules.changed($0, $1) }
  }

  private func addBookie(_ id: String) throws {
    let server = try SimulatedServer(id, network: network)
    network.servers[id] = server
    server.observe = { [rules] request, response in rules.answered(id, request, response) }
    server.onRestart = { [rules, unowned server] in rules.restarted(id, server.bookie) }
    server.onRefusal = { [rules] error in
      if !rules.damaged.contains(id) { rules.fail("\(id) does not start: \(error)") }
    }
    server.bookie.answersBeforeFence = mutation == .fenceNotDurable
  }

  // MARK: What the actors tell

  static func payloadSize(_ entry: EntryID) -> Int { 12 + Int(entry % 5) * 60 }

  func newEntry(_ id: LedgerID, _ entry: EntryID, lastConfirmed: EntryID) -> EntryBytes {
    let payload = ByteBuffer(
      repeating: UInt8(truncatingIfNeeded: id &* 37 &+ entry &+ 1), count: Self.payloadSize(entry))
    rules.appended(id, payload)
    return SimulatedBookie.codec.encode(
      LedgerEntryHeader(
        ledgerID: id, entryID: entry, lastAddConfirmed: lastConfirmed,
        length: RegionRules.length(through: entry)),
      payload)
  }

  func confirmed(_ id: LedgerID, _ entries: ClosedRange<EntryID>, ensemble: [String]) {
    tally.note("entries confirmed", entries.count)
    rules.confirmed(id, entries)
  }

  func passedFence(_ id: LedgerID) { rules.passedFence(id) }

  // MARK: Running

  func run() throws {
    defer { network.dispose() }
    network.faults = .init(
      lossPercent: chance.number(0...10), duplicatePercent: chance.number(0...8),
      slowPercent: chance.number(0...15))
    metadata.lossPercent = chance.number(0...3)
    for index in 0..<chance.number(1...3) { addBroker(index) }
    for _ in 0..<chance.number(1...8) { network.after(ms: 0...600) { self.fault() } }
    readNow()
    try advance(until: end) { false }
    try becomeCalm()
    try closeAll()
    try readAll()
  }

  private func addBroker(_ index: Int) {
    let broker = SimulatedBroker(self, "broker-\(index)")
    brokers.append(broker)
    network.after(ms: index == 0 ? 0...5 : 0...500) { broker.takeOver() }
    if chance.percent(35) { network.after(ms: 1...600) { broker.crash() } }
  }

  private func advance(until time: UInt64, _ isDone: () -> Bool) throws {
    while network.nanoseconds < time, !isDone(), network.step() {
      if let violation = rules.violation { throw violation }
    }
    if let violation = rules.violation { throw violation }
  }

  // MARK: Faults

  private func fault() {
    guard !isCalm else { return }
    let id = chance.pick(network.bookieIDs)
    guard let server = network.servers[id] else { return }
    let disk = server.bookie.disk
    switch chance.number(0...9) {
    case 0...1: server.crash()
    case 2: disk.diesAt = disk.changes + chance.number(1...40)
    case 3: server.stall(ms: chance.number(10...400))
    case 4:
      disk.capacity = disk.totalBytes + chance.number(0...10_000)
      network.after(ms: 20...300) { disk.capacity = .max }
    case 5: server.jump()
    case 6: damage(id, server)
    case 7...8:
      let client = "broker-\(chance.number(0...2))"
      if chance.percent(70) { network.cut(client, id, ms: 20...400) }
      if chance.percent(70) { network.cut(id, client, ms: 20...400) }
    default:
      // Several at once.
      for id in network.bookieIDs where chance.percent(50) { network.servers[id]?.crash() }
    }
  }

  /// Never more bookies than that of each entry one copy stays whole.
  private func damage(_ id: String, _ server: SimulatedServer) {
    guard rules.damaged.contains(id) || rules.damaged.count < options.ackQuorumSize - 1,
      server.isRunning
    else { return }
    if server.bookie.disk.flip({ $0.hasSuffix(".log") }, in: { 0..<$0.bytes.count }) {
      rules.damaged.insert(id)
    }
  }

  // MARK: Readers

  /// Reads behind the writers all the time, as far as entries are confirmed.
  private func readNow() {
    network.after(ms: 10...120) { [self] in
      guard !isCalm else { return }
      readNow()
      guard let id = rules.ledgers.keys.max(), let state = rules.ledgers[id] else { return }
      let known = state.metadata
      guard known.state != .closed else { return readSome(id, known, through: known.lastEntry) }
      let request = ReadRequest(requestID: 1, ledgerID: id, entryID: ReadRequest.lastEntry)
      network.call("reader", chance.pick(known.lastSegment.ensemble), .read(request)) {
        [self] response in
        guard case .read(let read)? = response, read.code == .ok, let bytes = read.entry,
          let (header, _) = try? SimulatedBookie.codec.decode(bytes, ledgerID: id, entryID: nil)
        else { return }
        rules.seen(id, through: header.lastAddConfirmed)
        readSome(id, known, through: header.lastAddConfirmed)
      }
    }
  }

  private func readSome(_ id: LedgerID, _ metadata: LedgerMetadata, through last: EntryID) {
    guard last >= 0 else { return }
    let from = EntryID(chance.number(0...Int(last)))
    SimulatedReader(
      network, client: "reader", ledgerID: id, metadata: metadata, from: from, through: last
    ) {
      [self] result in
      guard case .success(let entries) = result else { return }
      tally.note("entries read by followers", entries.count)
      for entry in entries { rules.read(id, entry) }
    }.start()
  }

  // MARK: Without faults

  private func becomeCalm() throws {
    isCalm = true
    network.heal()
    metadata.lossPercent = 0
    for broker in brokers { broker.stop() }
    for server in network.servers.sorted(by: { $0.key < $1.key }).map(\.value) {
      server.bookie.disk.capacity = .max
      server.bookie.disk.diesAt = nil
      server.restart()
    }
    try advance(until: network.nanoseconds + 600 * SimulatedNetwork.millisecond) { false }
    // One more crash of each: what is in memory alone is gone.
    for id in network.bookieIDs { network.servers[id]?.crash(comesBackAfter: 1...5) }
    try advance(until: network.nanoseconds + 20 * SimulatedNetwork.millisecond) { false }
  }

  private func closeAll() throws {
    let open = metadata.chain.filter { metadata.ledgers[$0]?.metadata.state != .closed }
    let recoveries = open.map { SimulatedRecovery(self, client: "last", ledgerID: $0) {} }
    for recovery in recoveries { recovery.start() }
    func isClosed() -> Bool { open.allSatisfy { metadata.ledgers[$0]?.metadata.state == .closed } }
    try advance(until: network.nanoseconds + 20_000 * SimulatedNetwork.millisecond, isClosed)
    guard isClosed() else {
      throw Violation(
        "never closed: \(open.compactMap { metadata.ledgers[$0]?.metadata }) damaged: \(rules.damaged)"
      )
    }
    // Whatever is still under way must change nothing.
    try advance(until: network.nanoseconds + 300 * SimulatedNetwork.millisecond) { false }
  }

  private func readAll() throws {
    for id in metadata.chain {
      guard let ledger = metadata.ledgers[id]?.metadata else { continue }
      if let confirmed = rules.ledgers[id]?.confirmed, confirmed > ledger.lastEntry {
        throw Violation("ledger \(id) ends at \(ledger.lastEntry), and \(confirmed) was confirmed")
      }
      var next: EntryID = 0
      while next <= ledger.lastEntry {
        var answer: Result<[LedgerEntry], LedgerError>?
        let reader = SimulatedReader(
          network, client: "last", ledgerID: id, metadata: ledger, from: next,
          through: ledger.lastEntry
        ) { answer = $0 }
        reader.start()
        try advance(until: network.nanoseconds + 5_000 * SimulatedNetwork.millisecond) {
          answer != nil
        }
        guard case .success(let entries)? = answer, !entries.isEmpty else {
          throw Violation(
            "entry \(id):\(next) cannot be read: \(String(describing: answer)) \(rules.damaged)")
        }
        for entry in entries { rules.read(id, entry) }
        tally.note("entries verified", entries.count)
        next += EntryID(entries.count)
      }
    }
    if let violation = rules.violation { throw violation }
  }
}

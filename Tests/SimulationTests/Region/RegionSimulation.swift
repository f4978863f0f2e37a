import BookieWire
import NIOCore

@testable import Bookie
@testable import Ledgers

/// A whole region in one thread from one seed: brokers that race for a topic, a metadata store, readers, auto-recovery, and
/// bookies with their real storage on simulated disks. First faults of every kind, then none, and everything must come to its
/// end.
final class RegionSimulation {
  let chance: Chance
  let tally: Tally
  let network: SimulatedNetwork
  let metadata: SimulatedMetadata
  let rules = RegionRules()
  let shape: RegionShape
  let mutation: Mutation?
  private(set) var isCalm = false
  private var brokers: [SimulatedBroker] = []
  private var watches: [String: SimulatedWatch] = [:]
  private var collectors: [SimulatedCollector] = []
  private var auditor: SimulatedAuditor?

  init(seed: UInt64, tally: Tally = Tally(), mutation: Mutation? = nil) throws {
    chance = Chance(seed)
    self.tally = tally
    self.mutation = mutation
    shape = RegionShape(chance)
    network = SimulatedNetwork(chance: chance, tally: tally)
    network.hasStreams = shape.hasStreams
    metadata = SimulatedMetadata(network)
    for index in 0..<shape.options.ensembleSize + shape.spares { try addBookie("b\(index)") }
    metadata.comparesVersions = mutation != .noCompareAndSet
    metadata.onChange = { [rules] in rules.changed($0, $1) }
  }

  private func addBookie(_ id: String) throws {
    let server = try SimulatedServer(id, network: network)
    network.servers[id] = server
    let watch = SimulatedWatch(self, server)
    watches[id] = watch
    server.observe = { [rules] request, response in rules.answered(id, request, response) }
    server.onStart = { [rules, unowned server] in
      watch.started()
      let failing = server.bookie.disk.failingReads
      server.bookie.disk.failingReads = 0
      rules.started(id, server.bookie)
      server.bookie.disk.failingReads = failing
    }
    server.onLook = { watch.look() }
    server.onRefusal = { [rules] error in
      rules.check(.acknowledgedIsKept, rules.damaged.contains(id), "\(id) does not start: \(error)")
    }
    let collector = SimulatedCollector(self, server)
    collectors.append(collector)
    collector.start()
    if let mutation { make(mutation, in: server) }
  }

  // MARK: What the actors tell

  static func payloadSize(_ entry: EntryID) -> Int { 12 + Int(entry % 5) * 60 }

  func newEntry(_ id: LedgerID, _ entry: EntryID, lastConfirmed: EntryID) -> EntryBytes {
    let payload = ByteBuffer(
      repeating: UInt8(truncatingIfNeeded: id &* 37 &+ entry &+ 1), count: Self.payloadSize(entry))
    rules.appended(id, payload)
    return SimulatedBookie.codec.encode(
      LedgerEntryHeader(
        ledgerID: id, entryID: entry, lastAddConfirmed: lastConfirmed, length: RegionRules.length(through: entry)),
      payload)
  }

  func confirmed(_ id: LedgerID, _ entries: ClosedRange<EntryID>) {
    tally.note("entries confirmed", entries.count)
    rules.confirmed(id, entries)
  }

  func passedFence(_ id: LedgerID) { rules.passedFence(id) }

  /// Somebody knows of copies that may be missing, and tells auto-recovery as long as it lives.
  func report(
    _ id: LedgerID, _ copies: SuspectCopies, _ isAlive: @escaping () -> Bool, onStored: @escaping () -> Void = {}
  ) {
    guard mutation != .missingCopiesAreNotReported else { return onStored() }
    tally.note("reports of missing copies")
    mark(id, copies, isAlive, onStored)
  }

  private func mark(
    _ id: LedgerID, _ copies: SuspectCopies, _ isAlive: @escaping () -> Bool, _ onStored: @escaping () -> Void
  ) {
    let store = { [rules] (mark: inout UnderReplicatedLedger) in
      rules.reported(id, copies)
      mark.add(suspects: [copies])
    }
    metadata.mark(id, { _ = store(&$0) }) { [self] isDone in
      if isDone { return onStored() }
      if isAlive() { mark(id, copies, isAlive, onStored) }
    }
  }

  /// A client that is no broker closes a ledger, or gives up after a while.
  func recover(_ id: LedgerID, _ client: String, _ then: @escaping () -> Void) {
    var hasEnded = false
    let recovery = SimulatedRecovery(self, client: client, ledgerID: id) {
      if !hasEnded { then() }
      hasEnded = true
    }
    recovery.start()
    network.after(ms: 400...500) {
      recovery.isAlive = false
      if !hasEnded { then() }
      hasEnded = true
    }
  }

  // MARK: Running

  func run() throws {
    defer { network.dispose() }
    let isWild = chance.percent(20)
    network.faults = .init(
      lossPercent: chance.number(0...(isWild ? 25 : 10)), duplicatePercent: chance.number(0...8),
      slowPercent: chance.number(0...(isWild ? 50 : 15)))
    metadata.lossPercent = chance.number(0...3)
    for server in network.servers.values { server.restartsAfterFence = 20 }
    for index in 0..<chance.number(1...3) { addBroker(index) }
    for _ in 0..<chance.number(1...10) { network.after(ms: 0...(shape.ms - 100)) { self.fault() } }
    for index in 0..<chance.number(0...3) { meddle(index) }
    if shape.hasRepairs {
      let auditor = SimulatedAuditor(self)
      auditor.start()
      self.auditor = auditor
    }
    readNow()
    try advance(ms: shape.ms) { false }
    try becomeCalm()
    try closeAll()
    try compareAll()
    try readAll()
    for (rule, count) in rules.checks { tally.note("checks of '\(rule.rawValue)'", count) }
  }

  private func addBroker(_ index: Int) {
    let broker = SimulatedBroker(self, "broker-\(index)")
    brokers.append(broker)
    network.after(ms: index == 0 ? 0...5 : 0...500) { broker.takeOver() }
    if chance.percent(35) { network.after(ms: 1...600) { broker.crash() } }
  }

  /// Somebody who takes the writer for dead closes its ledger.
  private func meddle(_ index: Int) {
    network.after(ms: 10...shape.ms) { [self] in
      guard !isCalm, let id = metadata.chain.last else { return }
      tally.note("ledgers recovered while they were written")
      recover(id, "meddler-\(index)") {}
    }
  }

  /// Goes on for so long, or until it is done.
  func advance(ms: Int, _ isDone: () -> Bool) throws {
    let end = network.nanoseconds + UInt64(ms) * SimulatedNetwork.millisecond
    while network.nanoseconds < end, !isDone(), network.step() {
      if let violation = rules.violation { throw violation }
    }
    if let violation = rules.violation { throw violation }
  }

  // MARK: Readers

  /// Reads behind the writers all the time, as far as entries are confirmed.
  private func readNow() {
    network.after(ms: 10...120) { [self] in
      guard !isCalm else { return }
      readNow()
      guard let id = rules.ledgers.keys.max(), let state = rules.ledgers[id], !state.isDeleted else { return }
      let known = state.metadata
      guard known.state != .closed else { return readSome(id, known, through: known.lastEntry) }
      let request = ReadRequest(requestID: 1, ledgerID: id, entryID: ReadRequest.lastEntry)
      network.call("reader", chance.pick(known.lastSegment.ensemble), .read(request)) { [self] response in
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
      network, client: "reader", ledgerID: id, metadata: metadata, from: from, through: last,
      onSuspect: { [self] in report(id, $0) { true } }
    ) { [self] result in
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
    for id in network.bookieIDs {
      guard let server = network.servers[id] else { continue }
      server.bookie.disk.capacity = .max
      server.bookie.disk.diesAt = nil
      server.bookie.disk.failingReads = 0
      server.restartsAfterFence = 0
      server.restart()
    }
    try advance(ms: 500) { false }
    // One more crash of each: what is in memory alone is gone.
    for id in network.bookieIDs { network.servers[id]?.crash(comesBackAfter: 1...5) }
    try advance(ms: 20) { false }
  }

  private func closeAll() throws {
    let open = metadata.chain.filter { metadata.ledgers[$0].map { $0.metadata.state != .closed } == true }
    let recoveries = open.map { SimulatedRecovery(self, client: "last", ledgerID: $0) {} }
    for recovery in recoveries { recovery.start() }
    func isClosed(_ id: LedgerID) -> Bool { metadata.ledgers[id].map { $0.metadata.state == .closed } ?? true }
    try advance(ms: 20_000) { open.allSatisfy(isClosed) }
    for id in metadata.chain {
      rules.check(
        .everythingCloses, isClosed(id),
        "Ledger \(id) is never closed: \(String(describing: metadata.ledgers[id])), damaged: \(rules.damaged.sorted())")
    }
    // Whatever is still under way must change nothing.
    try advance(ms: 250) { false }
    if shape.hasStreams { rules.checkMissingIsKnown() }
  }

  /// Compares all copies; with auto-recovery those that are missing are made again, and then none is missing.
  private func compareAll() throws {
    let missing = compare()
    if let violation = rules.violation { throw violation }
    guard shape.hasRepairs, network.writable.count >= shape.options.ensembleSize else { return }
    for (id, copies) in missing.sorted(by: { $0.key < $1.key }) { metadata.mark(id, { _ = $0.add(suspects: copies) }) }
    try advance(ms: 150) { false }
    try advance(ms: 30_000) { [self] in
      guard metadata.marks.isEmpty, metadata.limbo.isEmpty else { return false }
      let registered = Set(network.registered)
      return metadata.chain.allSatisfy { id in
        metadata.ledgers[id]?.metadata.bookiesInUse.isSubset(of: registered) ?? true
      }
    }
    let still = missing.isEmpty && rules.damaged.isEmpty ? [:] : compare()
    rules.check(
      .everythingIsRepaired, metadata.marks.isEmpty && still.isEmpty,
      "Not repaired: \(still), marks: \(metadata.marks), limbo: \(metadata.limbo)")
    if let violation = rules.violation { throw violation }
  }

  /// Reads each copy of each entry of the topic from its bookie. Returns those that are not there.
  private func compare() -> [LedgerID: [SuspectCopies]] {
    var missing: [LedgerID: [SuspectCopies]] = [:]
    for id in metadata.chain {
      guard let ledger = metadata.ledgers[id]?.metadata else { continue }
      for entry in stride(from: EntryID(0), through: ledger.lastEntry, by: 1) {
        var first: ByteBuffer?
        for bookie in ledger.holders(of: entry) {
          guard let server = network.servers[bookie], server.isRunning else { continue }
          guard let read = server.bookie.read(id, entry), read.code == .ok, let bytes = read.entry else {
            missing[id, default: []].append(SuspectCopies(bookie: bookie, first: entry, last: entry))
            continue
          }
          rules.check(.copiesAgree, first == nil || first == bytes, "Ledger \(id): copies of entry \(entry) differ")
          first = bytes
        }
      }
    }
    return missing
  }

  private func readAll() throws {
    for id in metadata.chain {
      guard let ledger = metadata.ledgers[id]?.metadata else { continue }
      if let confirmed = rules.ledgers[id]?.confirmed {
        rules.check(
          .acknowledgedIsKept, confirmed <= ledger.lastEntry,
          "Ledger \(id) ends at \(ledger.lastEntry), and \(confirmed) was confirmed")
      }
      var next: EntryID = 0
      while next <= ledger.lastEntry {
        var answer: Result<[LedgerEntry], LedgerError>?
        SimulatedReader(
          network, client: "last", ledgerID: id, metadata: ledger, from: next, through: ledger.lastEntry,
          onSuspect: { _ in }
        ) { answer = $0 }.start()
        try advance(ms: 5_000) { answer != nil }
        guard case .success(let entries)? = answer, !entries.isEmpty else {
          throw Violation(
            "Entry \(id):\(next) cannot be read: \(String(describing: answer)), damaged: \(rules.damaged.sorted())")
        }
        for entry in entries { rules.read(id, entry) }
        tally.note("entries verified", entries.count)
        next += EntryID(entries.count)
      }
    }
    if let violation = rules.violation { throw violation }
  }
}

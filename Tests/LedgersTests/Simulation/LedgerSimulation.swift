import NIOCore

@testable import Ledgers

/// One ledger's life: a writer, bookies that come and go, clients that race to recover it, and repairs that replace bookies
/// meanwhile; every rule checked.
final class LedgerSimulation {
  struct Violation: Error, CustomStringConvertible {
    var description: String
  }

  let network: SimulatedNetwork
  let ledgerID: LedgerID = 1
  private(set) var metadata: LedgerMetadata
  private var version: Int64 = 1
  private(set) var confirmed: EntryID = -1
  private(set) var violations: [String] = []
  private var closed: LedgerMetadata?
  private(set) var written = 0
  var recoverers: [SimulatedRecovery] = []
  private var repairs: [SimulatedRepair] = []
  private var suspects: [SuspectCopies] = []
  /// Whether the client that closed the ledger is alive; nil: nobody got to know that it closed it.
  var closer: (() -> Bool)?

  /// Every fourth seed has repairs too.
  private let hasRepairs: Bool

  init(seed: UInt64, mutations: Mutations = []) {
    hasRepairs = seed % 4 == 3
    network = SimulatedNetwork(seed: seed, bookieCount: 6, mutations: mutations)
    let shapes = [(3, 2, 2), (3, 3, 2), (3, 3, 3), (5, 3, 2), (4, 2, 1), (1, 1, 1), (5, 3, 3), (2, 2, 2)]
    let (size, writeQuorum, ackQuorum) = shapes.randomElement(using: &network.generator) ?? (3, 2, 2)
    let ensemble = Array(network.bookieIDs.shuffled(using: &network.generator).prefix(size))
    metadata = LedgerMetadata(
      options: LedgerOptions(ensembleSize: size, writeQuorumSize: writeQuorum, ackQuorumSize: ackQuorum),
      ensemble: ensemble, createdMs: 0, creatorToken: 0)
  }

  // MARK: Metadata store

  func readMetadata(_ answer: @escaping (LedgerMetadata, Int64) -> Void) {
    network.after(ms: 0...4) {
      let (metadata, version) = (self.metadata, self.version)
      self.network.after(ms: 0...4) { answer(metadata, version) }
    }
  }

  /// Compare-and-set; the answer is the new version, or nil for a conflict.
  func writeMetadata(_ new: LedgerMetadata, over expected: Int64, _ answer: @escaping (Int64?) -> Void) {
    network.after(ms: 0...4) {
      var result: Int64?
      if self.version == expected || self.network.mutations.contains(.noCompareAndSet) {
        self.version += 1
        self.metadata = new
        result = self.version
        self.checkMetadata()
      }
      let answered = result
      self.network.after(ms: 0...4) { answer(answered) }
    }
  }

  // MARK: Events of the actors

  func payloadLength(through entry: EntryID) -> Int64 { (entry + 1) * (entry + 2) / 2 }

  func writerConfirmed(through entry: EntryID) {
    guard entry > confirmed else { return violations.append("confirmed \(entry) after \(confirmed)") }
    confirmed = entry
    if let closed, entry > closed.lastEntry {
      violations.append("confirmed entry \(entry) of a ledger that is closed at \(closed.lastEntry)")
    }
  }

  func writerAppended() { written += 1 }

  // MARK: Checks

  private func checkMetadata() {
    if let closed {
      var expected = metadata
      // Only a repair may change anything, and that only who holds a segment.
      if expected.segments.map(\.firstEntry) == closed.segments.map(\.firstEntry) {
        expected.segments = closed.segments
      }
      if expected != closed { violations.append("metadata changed after the ledger was closed") }
    }
    for (one, next) in zip(metadata.segments, metadata.segments.dropFirst()) where one.firstEntry >= next.firstEntry {
      violations.append("segments out of order: \(metadata.segments)")
    }
    for segment in metadata.segments where Set(segment.ensemble).count != segment.ensemble.count {
      violations.append("a bookie is named twice: \(segment.ensemble)")
    }
    if metadata.state == .closed, closed == nil {
      closed = metadata
      checkClosed()
    }
  }

  private func checkClosed() {
    if metadata.lastEntry < confirmed {
      violations.append("closed at \(metadata.lastEntry) although \(confirmed) was confirmed")
    }
    if metadata.lastEntry >= Int64(written) { violations.append("closed behind the last entry written") }
    if metadata.length != payloadLength(through: metadata.lastEntry) {
      violations.append("closed with length \(metadata.length) at entry \(metadata.lastEntry)")
    }
    checkReadable()
  }

  /// Every entry is where the metadata say, as it was written, in at least as many copies as acknowledge it.
  private func checkReadable() {
    let striping = LedgerStriping(
      ensembleSize: metadata.ensembleSize, writeQuorum: metadata.writeQuorumSize, ackQuorum: metadata.ackQuorumSize)
    for entry in stride(from: EntryID(0), through: metadata.lastEntry, by: 1) {
      let ensemble = metadata.ensemble(of: entry)
      let copies = striping.writeSet(of: entry).compactMap { network.bookies[ensemble[$0]]?.entries[entry] }
      if copies.count < metadata.ackQuorumSize { violations.append("entry \(entry) has \(copies.count) copies") }
      if copies.contains(where: { $0.length != payloadLength(through: entry) }) {
        violations.append("entry \(entry) is not what was written")
      }
    }
  }

  /// A bookie may lack copies.
  func reported(_ copies: SuspectCopies) {
    network.note("reports of missing copies")
    if !network.mutations.contains(.missingCopiesAreNotReported) { suspects.append(copies) }
  }

  /// Every copy that is missing was reported, unless who knew died. Copies that a repair makes are never missing.
  private func checkMissingCopiesAreKnown() {
    guard let closed, closer?() == true else { return }
    for fragment in closed.fragments {
      for (slot, bookie) in fragment.ensemble.enumerated() {
        for entry in fragment.entries(of: slot) where network.bookies[bookie]?.entries[entry] == nil {
          if !suspects.contains(where: { $0.bookie == bookie && $0.first <= entry && entry <= $0.last }) {
            violations.append("nobody knows that \(bookie) lacks entry \(entry)")
          }
        }
      }
    }
  }

  // MARK: Running

  /// Runs safety under faults, then heals everything and demands that the ledger gets closed.
  func run() throws {
    network.faults.lossPercent = Int.random(in: 0...12, using: &network.generator)
    network.faults.slowPercent = Int.random(in: 0...20, using: &network.generator)
    let patience: UInt64 = [20, 80, 400].randomElement(using: &network.generator) ?? 400
    let writer = SimulatedWriter(self)
    writer.start(entries: Int.random(in: 0...50, using: &network.generator))
    scheduleFaults()
    for _ in 0..<Int.random(in: 1...3, using: &network.generator) {
      network.after(ms: 0...patience) {
        let recovery = SimulatedRecovery(self)
        self.recoverers.append(recovery)
        recovery.start()
        if self.network.chance(40) {
          self.network.after(ms: 1...200) {
            self.network.note("crashed recoveries")
            recovery.isAlive = false
          }
        }
      }
    }
    if network.chance(40) {
      network.after(ms: 1...400) {
        self.network.note("crashed writers")
        writer.isAlive = false
      }
    }
    for _ in 0..<(hasRepairs ? Int.random(in: 1...3, using: &network.generator) : 0) {
      network.after(ms: 0...900) {
        let repair = SimulatedRepair(self)
        self.repairs.append(repair)
        repair.start()
      }
    }
    try advance(until: 2_000) { false }
    network.faults = .init(lossPercent: 0, duplicatePercent: 0, slowPercent: 0, unknownPercent: 0, blinkPercent: 0)
    for bookie in network.bookies.values { bookie.isUp = true }
    if closed == nil {
      let last = SimulatedRecovery(self)
      recoverers.append(last)
      last.start()
    }
    try advance(until: 12_000) { self.closed != nil }
    if closed == nil { throw Violation(description: "the ledger was never closed; metadata: \(metadata)") }
    // Whatever is still under way must change nothing.
    try advance(until: network.nanoseconds / SimulatedNetwork.millisecond + 500) { false }
    checkReadable()
    checkMissingCopiesAreKnown()
    if let first = violations.first { throw Violation(description: first) }
  }

  private func scheduleFaults() {
    for _ in 0..<Int.random(in: 0...5, using: &network.generator) {
      guard let id = network.bookieIDs.randomElement(using: &network.generator), let bookie = network.bookies[id] else {
        continue
      }
      network.after(ms: 0...600) {
        self.network.note("crashed bookies")
        bookie.crash()
        self.network.after(ms: 10...500) { bookie.isUp = true }
      }
    }
  }

  private func advance(until ms: UInt64, _ isDone: () -> Bool) throws {
    while network.nanoseconds < ms * SimulatedNetwork.millisecond, !isDone(), network.step() {
      if let first = violations.first { throw Violation(description: first) }
    }
  }
}

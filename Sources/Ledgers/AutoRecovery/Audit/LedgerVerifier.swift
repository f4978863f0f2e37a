import NIOCore

/// What a check of a ledger's copies found.
public struct LedgerVerification: Codable, Equatable, Sendable {
  /// The ledger.
  public var ledgerID: LedgerID
  /// The last entry that was in the check; entries behind it are still being written. -1: none.
  public var lastEntry: EntryID
  /// Entries looked at.
  public var entriesChecked: Int64 = 0
  /// Copies looked at.
  public var copiesChecked: Int64 = 0
  /// Bytes of good copies.
  public var bytesChecked: Int64 = 0
  /// Copies that bookies say they do not have.
  public var missing: [SuspectCopies] = []
  /// Copies that are not what the writer wrote, or that a bookie is not sure of.
  public var damaged: [SuspectCopies] = []
  /// Where not all entries were looked at: all that a bookie should have of a segment of which it lacks one of these.
  public var inDoubt: [SuspectCopies] = []
  /// Bookies that did not answer.
  public var unreachableBookies: [String] = []
  /// Entries with fewer good copies than the write quorum.
  public var entriesBelowWriteQuorum: Int64 = 0
  /// Entries with fewer good copies than the ack quorum.
  public var entriesBelowAckQuorum: Int64 = 0
  /// Entries without any good copy.
  public var entriesWithoutCopy: Int64 = 0
  /// Entries whose good copies are not the same bytes.
  public var entriesThatDiffer: Int64 = 0

  /// A check that has looked at nothing yet.
  init(ledgerID: LedgerID, lastEntry: EntryID) {
    self.ledgerID = ledgerID
    self.lastEntry = lastEntry
  }

  /// Whether every copy that was looked at is there and right.
  public var isHealthy: Bool {
    entriesBelowWriteQuorum == 0 && entriesThatDiffer == 0 && missing.isEmpty && damaged.isEmpty
  }

  /// Copies that auto-recovery should look at.
  var suspects: [SuspectCopies] { SuspectCopies.merged(missing + damaged + inDoubt) }
}

/// Reads the copies of a ledger's final entries from every bookie that should have them, and compares them.
struct LedgerVerifier {
  let access: ReplicaAccess
  /// Entries looked at, in percent; the first and the last of each fragment and place always are, and some between.
  let percentage: Int
  /// Entries between the first and the last of a fragment that are looked at always.
  static let samples = 16
  /// Entries read at once from each bookie, at most.
  let maximumEntries: Int
  let throttle: SharedThrottle

  func verify(proceed: () async throws -> Void) async throws -> LedgerVerification {
    let fragments = access.metadata.fragments
    var result = LedgerVerification(ledgerID: access.id, lastEntry: fragments.last?.lastEntry ?? -1)
    var silent: Set<String> = []
    for fragment in fragments {
      var chunk: [EntryID] = []
      var average = 64 << 10
      var incomplete: Set<String> = []
      let samples = Set((0..<Self.samples).map { _ in EntryID.random(in: fragment.firstEntry...fragment.lastEntry) })
      for entry in fragment.firstEntry...fragment.lastEntry where isChosen(entry, fragment, samples) {
        chunk.append(entry)
        guard chunk.count >= max(1, min(maximumEntries, (4 << 20) / average)) else { continue }
        average = try await check(chunk, fragment, &silent, &incomplete, &result) ?? average
        chunk = []
        try await proceed()
      }
      _ = try await check(chunk, fragment, &silent, &incomplete, &result)
      // A bookie that lacks one of a few has hardly lost that one only.
      result.inDoubt += incomplete.sorted().map {
        SuspectCopies(bookie: $0, first: fragment.firstEntry, last: fragment.lastEntry)
      }
    }
    result.missing = SuspectCopies.merged(result.missing)
    result.damaged = SuspectCopies.merged(result.damaged)
    result.unreachableBookies = silent.sorted()
    return result
  }

  private func isChosen(_ entry: EntryID, _ fragment: LedgerFragment, _ samples: Set<EntryID>) -> Bool {
    if percentage >= 100 { return true }
    // Each place's first and last entries are among the first and last ones of the fragment.
    let edge = EntryID(fragment.striping.ensembleSize)
    if entry - fragment.firstEntry < edge || fragment.lastEntry - entry < edge { return true }
    return samples.contains(entry) || (percentage > 0 && Int.random(in: 0..<100) < percentage)
  }

  /// Returns the mean size of the entries.
  private func check(
    _ entries: [EntryID], _ fragment: LedgerFragment, _ silent: inout Set<String>, _ incomplete: inout Set<String>,
    _ result: inout LedgerVerification
  ) async throws -> Int? {
    guard !entries.isEmpty else { return nil }
    var good: [EntryID: [ByteBuffer]] = [:]
    var bytes = 0
    for (slot, bookie) in fragment.ensemble.enumerated() where !silent.contains(bookie) {
      let held = entries.filter { fragment.striping.contains(slot, for: $0) }
      guard !held.isEmpty else { continue }
      let copies = try await access.read(held, from: bookie)
      // One that says nothing at all is not asked again.
      if copies.allSatisfy({ $0 == .unreachable }) {
        silent.insert(bookie)
        continue
      }
      result.copiesChecked += Int64(held.count)
      for (entry, copy) in zip(held, copies) {
        let suspect = SuspectCopies(bookie: bookie, first: entry, last: entry)
        switch copy {
        case .good(let buffer):
          good[entry, default: []].append(buffer)
          bytes += buffer.readableBytes
        case .absent:
          result.missing.append(suspect)
          if percentage < 100 { incomplete.insert(bookie) }
        case .damaged: result.damaged.append(suspect)
        case .unreachable: break
        }
      }
    }
    if result.missing.count + result.damaged.count > 4_096 {
      result.missing = SuspectCopies.merged(result.missing)
      result.damaged = SuspectCopies.merged(result.damaged)
    }
    for entry in entries {
      let copies = good[entry] ?? []
      result.entriesChecked += 1
      if copies.count < fragment.striping.writeQuorum { result.entriesBelowWriteQuorum += 1 }
      if copies.count < fragment.striping.ackQuorum { result.entriesBelowAckQuorum += 1 }
      if copies.isEmpty { result.entriesWithoutCopy += 1 }
      if let first = copies.first, copies.contains(where: { $0 != first }) { result.entriesThatDiffer += 1 }
    }
    result.bytesChecked += Int64(bytes)
    try await throttle.pay(bytes)
    return max(1, bytes / entries.count)
  }
}

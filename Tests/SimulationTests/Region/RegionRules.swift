import BookieWire
import NIOCore

@testable import Ledgers

/// What must hold in a region whatever happens, and what is remembered to check it. Each check is made with every event that
/// could break it.
final class RegionRules {
  /// The rules, by the number of the invariant where it has one.
  enum Rule: String, CaseIterable {
    case closedIsFinal = "1: a closed ledger does not change, and nobody believes in more of it"
    case acknowledgedIsKept = "2: an acknowledged entry has a copy where the metadata say"
    case oneWriter = "3: nothing is acknowledged to a writer after a fence was passed"
    case noGaps = "4: entries and segments follow each other without gaps"
    case seenIsKept = "5: what a reader saw as confirmed stays"
    case namedBeforeCounted = "6: a bookie is named in the metadata before it counts"
    case denialsAreTrue = "7: a bookie denies nothing that it acknowledged, and forgets no fence"
    case denialsCountOnlyFenced = "a recovery believes only bookies that are fenced"
    case everythingCloses = "8: every ledger is closed in the end"
    case nothingIsAltered = "an entry is what was written"
    case copiesAgree = "all copies of an entry are the same"
    case missingIsKnown = "every copy that is missing was marked"
    case everythingIsRepaired = "every copy is there in the end"
    case deletedIsGarbage = "only deleted ledgers are collected"
    case deletedStaysDeleted = "a collected ledger does not come back"
  }

  struct Key: Hashable {
    var ledger: LedgerID
    var entry: EntryID
  }

  struct Ledger {
    /// Payloads in the order in which they were appended.
    var written: [ByteBuffer] = []
    var confirmed: EntryID = -1
    /// Entries that were appended when a recovery had passed its fence.
    var appendedAtFence: Int?
    /// The last entry that a reader was told to be confirmed.
    var seen: EntryID = -1
    var metadata: LedgerMetadata
    var isDeleted = false
    /// Copies that were marked.
    var suspects: [SuspectCopies] = []
  }

  var ledgers: [LedgerID: Ledger] = [:]
  /// What each bookie acknowledged, of ledgers that it has not collected.
  private(set) var held: [String: Set<Key>] = [:]
  private var heldInOrder: [String: [Key]] = [:]
  private var fenced: [String: Set<LedgerID>] = [:]
  /// Ledgers that a bookie is deleting, and those that it has deleted for good.
  private var collecting: [String: Set<LedgerID>] = [:]
  private var collected: [String: Set<LedgerID>] = [:]
  /// Bookies whose disks were damaged or wiped: they may not know, but never deny.
  private(set) var damaged: Set<String> = []
  private(set) var violation: Violation?
  private(set) var checks: [Rule: Int] = [:]

  func fail(_ rule: Rule, _ what: String) {
    if violation == nil { violation = Violation("[\(rule.rawValue)] \(what).") }
  }

  /// Breaks the rule unless it holds.
  func check(_ rule: Rule, _ holds: Bool, _ what: @autoclosure () -> String) {
    checks[rule, default: 0] += 1
    if !holds { fail(rule, what()) }
  }

  private static let lengths: [Int64] = (0..<400).reduce(into: [0]) {
    $0.append($0[$1] + Int64(RegionSimulation.payloadSize(EntryID($1))))
  }

  /// Payload bytes of a ledger up to an entry.
  static func length(through entry: EntryID) -> Int64 { entry < 0 ? 0 : lengths[Int(entry) + 1] }

  // MARK: Writers

  func appended(_ id: LedgerID, _ payload: ByteBuffer) { ledgers[id]?.written.append(payload) }

  func passedFence(_ id: LedgerID) {
    if let ledger = ledgers[id], ledger.appendedAtFence == nil { ledgers[id]?.appendedAtFence = ledger.written.count }
  }

  /// A writer counts entries as written.
  func confirmed(_ id: LedgerID, _ entries: ClosedRange<EntryID>) {
    guard let ledger = ledgers[id], !ledger.isDeleted else { return }
    ledgers[id]?.confirmed = max(ledger.confirmed, entries.upperBound)
    let metadata = ledger.metadata
    check(.noGaps, entries.lowerBound == ledger.confirmed + 1, "Ledger \(id): \(entries) after \(ledger.confirmed)")
    check(
      .closedIsFinal, metadata.state != .closed || entries.upperBound <= metadata.lastEntry,
      "Ledger \(id): entry \(entries.upperBound) confirmed, closed at \(metadata.lastEntry)")
    check(
      .oneWriter, ledger.appendedAtFence.map { entries.upperBound < Int64($0) } ?? true,
      "Ledger \(id): entry \(entries.upperBound) was appended after a fence, and confirmed")
    for entry in entries {
      let holders = holders(of: entry, id, metadata)
      check(
        .namedBeforeCounted, holders.count >= metadata.ackQuorumSize,
        "Ledger \(id): entry \(entry) is confirmed with \(holders.count) copies where the metadata say")
    }
  }

  /// A mark in the metadata names the copies.
  func reported(_ id: LedgerID, _ copies: SuspectCopies) { ledgers[id]?.suspects.append(copies) }

  // MARK: Readers

  /// A reader was told that entries up to this one are confirmed.
  func seen(_ id: LedgerID, through entry: EntryID) {
    guard let ledger = ledgers[id], !ledger.isDeleted else { return }
    ledgers[id]?.seen = max(ledger.seen, entry)
    check(
      .closedIsFinal, ledger.metadata.state != .closed || entry <= ledger.metadata.lastEntry,
      "Ledger \(id): a reader saw entry \(entry) confirmed, closed at \(ledger.metadata.lastEntry)")
  }

  func read(_ id: LedgerID, _ entry: LedgerEntry) {
    guard let ledger = ledgers[id] else { return }
    let isWritten = entry.entryID < Int64(ledger.written.count)
    check(.nothingIsAltered, isWritten, "Ledger \(id): entry \(entry.entryID) was read and never written")
    guard isWritten else { return }
    check(
      .nothingIsAltered, ledger.written[Int(entry.entryID)] == entry.payload,
      "Ledger \(id): entry \(entry.entryID) is not what was written")
  }

  // MARK: Bookies

  /// A bookie answers.
  func answered(_ bookie: String, _ request: BookieRequest, _ response: BookieResponse) {
    switch (request, response) {
    case (.add(let add), .add(let answer)) where answer.code == .ok:
      let key = Key(ledger: add.ledgerID, entry: add.entryID)
      check(
        .denialsAreTrue, add.flags.contains(.recoveryAdd) || fenced[bookie]?.contains(key.ledger) != true,
        "\(bookie) acknowledges entry \(key.ledger):\(key.entry) though it has promised a fence")
      check(
        .deletedStaysDeleted, collected[bookie]?.contains(key.ledger) != true,
        "\(bookie) acknowledges entry \(key.ledger):\(key.entry) of a ledger that it has collected")
      if held[bookie, default: []].insert(key).inserted { heldInOrder[bookie, default: []].append(key) }
    case (.read(let read), .read(let answer)) where answer.code == .ok || answer.code.isNegative:
      if read.flags.contains(.fencing) { fenced[bookie, default: []].insert(read.ledgerID) }
      if answer.code.isNegative { denied(bookie, read.ledgerID, read.entryID) }
    default: break
    }
  }

  private func denied(_ bookie: String, _ id: LedgerID, _ entry: EntryID) {
    guard let held = held[bookie], collecting[bookie]?.contains(id) != true else { return }
    let keys =
      entry >= 0 ? [Key(ledger: id, entry: entry)] : heldInOrder[bookie, default: []].filter { $0.ledger == id }
    let wrong = keys.first { held.contains($0) && !mayBeForgotten(bookie, $0) }
    check(.denialsAreTrue, wrong == nil, "\(bookie) denies entry \(id):\(entry), which it acknowledged")
  }

  /// A recovery is told that there is no such entry.
  func deniedToRecovery(_ bookie: String, _ id: LedgerID) {
    guard ledgers[id]?.isDeleted == false else { return }
    check(
      .denialsCountOnlyFenced, fenced[bookie]?.contains(id) == true,
      "Ledger \(id): \(bookie) is believed to lack an entry, and may still take it")
  }

  /// Whether a bookie that lost a part of its journal, and got back what the metadata say that it has, may lack the entry.
  private func mayBeForgotten(_ bookie: String, _ key: Key) -> Bool {
    guard damaged.contains(bookie), let ledger = ledgers[key.ledger] else { return false }
    if ledger.isDeleted || !ledger.metadata.holders(of: key.entry).contains(bookie) { return true }
    return ledger.metadata.state == .closed && key.entry > ledger.metadata.lastEntry
  }

  /// A bookie has started again: it must have what it acknowledged.
  func started(_ id: String, _ bookie: SimulatedBookie) {
    for key in heldInOrder[id] ?? [] where ledgers[key.ledger]?.isDeleted == false {
      guard let read = bookie.read(key.ledger, key.entry) else { continue }
      if read.code == .ok, let bytes = read.entry {
        let decoded = try? SimulatedBookie.codec.decode(bytes, ledgerID: key.ledger, entryID: key.entry)
        check(
          .nothingIsAltered, decoded?.payload == ledgers[key.ledger]?.written[Int(key.entry)],
          "\(id): entry \(key.ledger):\(key.entry) is not what was written after a restart")
      } else {
        check(
          .denialsAreTrue, damaged.contains(id) && (!read.code.isNegative || mayBeForgotten(id, key)),
          "\(id): entry \(key.ledger):\(key.entry) is answered with '\(read.code)' after a restart")
      }
    }
  }

  /// The disk of a bookie is no longer what it was.
  func damage(_ bookie: String) {
    damaged.insert(bookie)
    for (id, ledger) in ledgers where !ledger.isDeleted { checkKept(id, ledger) }
  }

  /// A bookie is about to delete ledgers.
  func collects(_ bookie: String, _ ids: [LedgerID]) {
    for id in ids {
      check(.deletedIsGarbage, ledgers[id]?.isDeleted ?? true, "\(bookie) deletes ledger \(id), which is not deleted")
    }
    collecting[bookie, default: []].formUnion(ids)
    held[bookie]?.subtract(heldInOrder[bookie, default: []].filter { ids.contains($0.ledger) })
    heldInOrder[bookie]?.removeAll { ids.contains($0.ledger) }
    fenced[bookie]?.subtract(ids)
  }

  /// A bookie has deleted ledgers, and a crash does not bring them back.
  func collected(_ bookie: String, _ ids: [LedgerID]) { collected[bookie, default: []].formUnion(ids) }

  // MARK: Metadata

  func changed(_ id: LedgerID, _ new: LedgerMetadata?) {
    guard let new else {
      ledgers[id]?.isDeleted = true
      return
    }
    guard let old = ledgers[id]?.metadata else {
      ledgers[id] = Ledger(metadata: new)
      return
    }
    ledgers[id]?.metadata = new
    var same = old
    let isSameShape = old.segments.map(\.firstEntry) == new.segments.map(\.firstEntry)
    if isSameShape { same.segments = new.segments }
    check(.closedIsFinal, old.state != .closed || same == new, "Ledger \(id) changed after it was closed")
    check(.closedIsFinal, old.state != .inRecovery || new.state != .open, "Ledger \(id) was opened again")
    for (one, next) in zip(new.segments, new.segments.dropFirst()) {
      check(.noGaps, one.firstEntry < next.firstEntry, "Ledger \(id): segments out of order: \(new.segments)")
    }
    for segment in new.segments {
      check(
        .namedBeforeCounted, Set(segment.ensemble).count == segment.ensemble.count,
        "Ledger \(id): a bookie is named twice: \(segment.ensemble)")
    }
    if isSameShape { checkReplaced(id, old, new) }
    if new.state == .closed, old.state != .closed { checkClosed(id, new) }
    if let ledger = ledgers[id] { checkKept(id, ledger) }
  }

  /// Who is named for entries that are there to stay must have them.
  private func checkReplaced(_ id: LedgerID, _ old: LedgerMetadata, _ new: LedgerMetadata) {
    for fragment in new.fragments {
      guard let before = old.segments.first(where: { $0.firstEntry == fragment.firstEntry }) else { continue }
      for (slot, bookie) in fragment.ensemble.enumerated() where before.ensemble[slot] != bookie {
        let lacking = fragment.entries(of: slot).first { held[bookie]?.contains(Key(ledger: id, entry: $0)) != true }
        check(
          .namedBeforeCounted, lacking == nil || damaged.contains(bookie) || old.state == .inRecovery,
          "Ledger \(id): \(bookie) is named for entry \(lacking ?? -1), which it does not have")
      }
    }
  }

  private func checkClosed(_ id: LedgerID, _ metadata: LedgerMetadata) {
    guard let ledger = ledgers[id] else { return }
    let last = metadata.lastEntry
    check(
      .acknowledgedIsKept, last >= ledger.confirmed,
      "Ledger \(id) closed at \(last), though \(ledger.confirmed) was confirmed")
    check(
      .seenIsKept, last >= ledger.seen, "Ledger \(id) closed at \(last), though a reader saw \(ledger.seen) confirmed")
    check(.noGaps, last < Int64(ledger.written.count), "Ledger \(id) closed behind the last entry that was written")
    check(
      .noGaps, last >= Int64(ledger.written.count) || metadata.length == Self.length(through: last),
      "Ledger \(id) closed at \(last) with a length of \(metadata.length)")
    for entry in stride(from: EntryID(0), through: last, by: 1) {
      let count = holders(of: entry, id, metadata).count
      check(
        .acknowledgedIsKept, count >= metadata.ackQuorumSize,
        "Ledger \(id) closed at \(last), and entry \(entry) has \(count) copies")
    }
  }

  /// Every entry that was confirmed, or is in a closed ledger, is on a bookie that lost nothing.
  private func checkKept(_ id: LedgerID, _ ledger: Ledger) {
    let metadata = ledger.metadata
    let last = metadata.state == .closed ? metadata.lastEntry : ledger.confirmed
    for entry in stride(from: EntryID(0), through: last, by: 1) {
      check(
        .acknowledgedIsKept, holders(of: entry, id, metadata).contains { !damaged.contains($0) },
        "Ledger \(id): nobody whose disk is whole has entry \(entry)")
    }
  }

  func holders(of entry: EntryID, _ id: LedgerID, _ metadata: LedgerMetadata) -> [String] {
    let key = Key(ledger: id, entry: entry)
    return metadata.holders(of: entry).filter { held[$0]?.contains(key) == true }
  }

  /// Each copy that is missing has been marked, whoever died.
  func checkMissingIsKnown() {
    for (id, ledger) in ledgers where !ledger.isDeleted && ledger.metadata.state == .closed {
      for fragment in ledger.metadata.fragments {
        for (slot, bookie) in fragment.ensemble.enumerated() where !damaged.contains(bookie) {
          for entry in fragment.entries(of: slot) where held[bookie]?.contains(Key(ledger: id, entry: entry)) != true {
            check(
              .missingIsKnown,
              ledger.suspects.contains { $0.bookie == bookie && $0.first <= entry && entry <= $0.last },
              "Ledger \(id): nobody knows that \(bookie) lacks entry \(entry)")
          }
        }
      }
    }
  }
}

extension LedgerMetadata {
  /// The bookies that should have an entry.
  func holders(of entry: EntryID) -> [String] {
    let ensemble = ensemble(of: entry)
    return striping.writeSet(of: entry).map { ensemble[$0] }
  }
}

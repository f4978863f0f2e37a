import BookieWire
import NIOCore

@testable import Ledgers

/// What must hold in a region whatever happens, and what is remembered to check it.
final class RegionRules {
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
  }

  private(set) var ledgers: [LedgerID: Ledger] = [:]
  /// What each bookie acknowledged.
  private(set) var held: [String: Set<Key>] = [:]
  private var heldInOrder: [String: [Key]] = [:]
  private var fenced: [String: Set<LedgerID>] = [:]
  /// Bookies whose disks were damaged: they may not know, but never deny.
  var damaged: Set<String> = []
  private(set) var violation: Violation?

  func fail(_ what: String) {
    if violation == nil { violation = Violation(what) }
  }

  static func length(through entry: EntryID) -> Int64 {
    entry < 0 ? 0 : (0...entry).reduce(Int64(0)) { $0 + Int64(RegionSimulation.payloadSize($1)) }
  }

  // MARK: What happened

  func appended(_ id: LedgerID, _ payload: ByteBuffer) { ledgers[id]?.written.append(payload) }

  func passedFence(_ id: LedgerID) {
    if let ledger = ledgers[id], ledger.appendedAtFence == nil {
      ledgers[id]?.appendedAtFence = ledger.written.count
    }
  }

  /// A writer counts entries as written.
  func confirmed(_ id: LedgerID, _ entries: ClosedRange<EntryID>) {
    guard var ledger = ledgers[id] else { return fail("ledger \(id) is not known") }
    if entries.lowerBound != ledger.confirmed + 1 {
      fail("ledger \(id): \(entries) confirmed after \(ledger.confirmed)")
    }
    ledger.confirmed = max(ledger.confirmed, entries.upperBound)
    ledgers[id] = ledger
    if ledger.metadata.state == .closed, entries.upperBound > ledger.metadata.lastEntry {
      fail(
        "ledger \(id): entry \(entries.upperBound) confirmed, closed at \(ledger.metadata.lastEntry)"
      )
    }
    if let limit = ledger.appendedAtFence, entries.upperBound >= Int64(limit) {
      fail("ledger \(id): entry \(entries.upperBound) was appended after a fence, and confirmed")
    }
    for entry in entries
    where holders(of: entry, id, ledger.metadata).count < ledger.metadata.ackQuorumSize {
      fail(
        "ledger \(id): entry \(entry) confirmed with fewer copies, where the metadata say, than its ack quorum"
      )
    }
  }

  /// A reader was told that entries up to this one are confirmed.
  func seen(_ id: LedgerID, through entry: EntryID) {
    guard let ledger = ledgers[id] else { return }
    ledgers[id]?.seen = max(ledger.seen, entry)
    if ledger.metadata.state == .closed, entry > ledger.metadata.lastEntry {
      fail(
        "ledger \(id): a reader saw entry \(entry) confirmed, closed at \(ledger.metadata.lastEntry)"
      )
    }
  }

  func read(_ id: LedgerID, _ entry: LedgerEntry) {
    guard let ledger = ledgers[id], entry.entryID < Int64(ledger.written.count) else {
      return fail("ledger \(id): entry \(entry.entryID) was read and never written")
    }
    if ledger.written[Int(entry.entryID)] != entry.payload {
      fail("ledger \(id): entry \(entry.entryID) is altered")
    }
  }

  /// A bookie answers.
  func answered(_ bookie: String, _ request: BookieRequest, _ response: BookieResponse) {
    switch (request, response) {
    case (.add(let add), .add(let answer)) where answer.code == .ok:
      if !add.flags.contains(.recoveryAdd), fenced[bookie, default: []].contains(add.ledgerID) {
        fail(
          "\(bookie) acknowledges entry \(add.ledgerID):\(add.entryID) though it has promised a fence"
        )
      }
      let key = Key(ledger: add.ledgerID, entry: add.entryID)
      if held[bookie, default: []].insert(key).inserted {
        heldInOrder[bookie, default: []].append(key)
      }
    case (.read(let read), .read(let answer)) where answer.code == .ok || answer.code.isNegative:
      if read.flags.contains(.fencing) { fenced[bookie, default: []].insert(read.ledgerID) }
      if answer.code.isNegative, let held = held[bookie] {
        let denied =
          read.entryID >= 0
          ? held.contains(Key(ledger: read.ledgerID, entry: read.entryID))
          : held.contains { $0.ledger == read.ledgerID }
        if denied {
          fail("\(bookie) denies entry \(read.ledgerID):\(read.entryID), which it acknowledged")
        }
      }
    default: break
    }
  }

  /// A bookie has started again: it must have what it acknowledged.
  func restarted(_ id: String, _ bookie: SimulatedBookie) {
    for key in heldInOrder[id] ?? [] {
      guard let read = bookie.read(key.ledger, key.entry) else { continue }
      if read.code == .ok, let bytes = read.entry {
        let decoded = try? SimulatedBookie.codec.decode(
          bytes, ledgerID: key.ledger, entryID: key.entry)
        if decoded?.payload == ledgers[key.ledger]?.written[Int(key.entry)] { continue }
        fail("\(id): entry \(key.ledger):\(key.entry) is altered after a restart")
      } else if read.code.isNegative || !damaged.contains(id) {
        fail(
          "\(id): entry \(key.ledger):\(key.entry) is answered with '\(read.code)' after a restart")
      }
    }
  }

  // MARK: Metadata

  func changed(_ id: LedgerID, _ new: LedgerMetadata) {
    guard let old = ledgers[id]?.metadata else {
      ledgers[id] = Ledger(metadata: new)
      return
    }
    ledgers[id]?.metadata = new
    if old.state == .closed, new != old { fail("ledger \(id) changed after it was closed") }
    if old.state == .inRecovery, new.state == .open { fail("ledger \(id) was opened again") }
    for (one, next) in zip(new.segments, new.segments.dropFirst())
    where one.firstEntry >= next.firstEntry {
      fail("ledger \(id): segments out of order: \(new.segments)")
    }
    for segment in new.segments where Set(segment.ensemble).count != segment.ensemble.count {
      fail("ledger \(id): a bookie is named twice: \(segment.ensemble)")
    }
    if new.state == .closed, old.state != .closed { closed(id, new) }
  }

  private func closed(_ id: LedgerID, _ metadata: LedgerMetadata) {
    guard let ledger = ledgers[id] else { return }
    let last = metadata.lastEntry
    if last < ledger.confirmed {
      fail("ledger \(id) closed at \(last), though \(ledger.confirmed) was confirmed")
    }
    if last < ledger.seen {
      fail("ledger \(id) closed at \(last), though a reader saw \(ledger.seen) confirmed")
    }
    if last >= Int64(ledger.written.count) {
      fail("ledger \(id) closed behind the last entry that was written")
    }
    if metadata.length != Self.length(through: last) {
      fail("ledger \(id) closed at \(last) with a length of \(metadata.length)")
    }
    for entry in stride(from: EntryID(0), through: last, by: 1)
    where holders(of: entry, id, metadata).count < metadata.ackQuorumSize {
      fail(
        "ledger \(id) closed at \(last), and entry \(entry) has fewer copies than its ack quorum")
    }
  }

  private func holders(of entry: EntryID, _ id: LedgerID, _ metadata: LedgerMetadata) -> [String] {
    let ensemble = metadata.ensemble(of: entry)
    let key = Key(ledger: id, entry: entry)
    return LedgerStriping(metadata).writeSet(of: entry).map { ensemble[$0] }.filter {
      held[$0]?.contains(key) == true
    }
  }
}

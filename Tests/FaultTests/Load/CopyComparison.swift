import NIOCore

@testable import Ledgers

/// Copies of entries, by what their bookies said of them.
struct CopyCount: Sendable {
  var good = 0
  var absent = 0
  var damaged = 0
  var unreachable = 0
  /// Where copies are not good, for people: how many on each bookie, and the first.
  var problems: [String: String] = [:]

  /// Whether every copy is there.
  var isWhole: Bool { absent == 0 && damaged == 0 && unreachable == 0 }

  static func += (left: inout Self, right: Self) {
    left.good += right.good
    left.absent += right.absent
    left.damaged += right.damaged
    left.unreachable += right.unreachable
    left.problems.merge(right.problems) { $0 + "; " + $1 }
  }
}

/// Reads every copy of a closed ledger's entries from the bookies that its metadata names.
struct CopyComparison {
  let client: LedgerClient
  let loop: any EventLoop
  let book: LedgerBook

  func run(_ id: LedgerID) async throws -> CopyCount {
    let metadata = try await client.ledgerMetadata(id)
    let access = ReplicaAccess(id: id, metadata: metadata, bookies: try client.bookies(on: loop))
    var count = CopyCount()
    for fragment in metadata.fragments {
      var from = fragment.firstEntry
      while from <= fragment.lastEntry {
        let through = min(fragment.lastEntry, from + 127)
        var seen: [EntryID: ByteBuffer] = [:]
        for (slot, bookie) in fragment.ensemble.enumerated() {
          let entries = fragment.entries(of: slot, from: from).prefix { $0 <= through }.map { $0 }
          for (entry, copy) in zip(entries, try await access.read(entries, from: bookie)) {
            note(copy, of: entry, bookie, id, &seen, &count)
            if case .good = copy { continue }
            let key = "\(id) on \(bookie)"
            if count.problems[key] == nil {
              let ensemble = fragment.ensemble.joined(separator: ",")
              count.problems[key] = describe(
                copy, entry, "\(fragment.firstEntry)...\(fragment.lastEntry) (\(ensemble))")
            }
          }
        }
        from = through + 1
      }
    }
    return count
  }

  private func describe(_ copy: ReplicaAccess.Copy, _ entry: EntryID, _ fragment: String) -> String {
    let what =
      switch copy {
      case .good: "good"
      case .absent: "absent"
      case .damaged: "damaged"
      case .unreachable: "unreachable"
      }
    return "\(what) from entry \(entry) of \(fragment)"
  }

  private func note(
    _ copy: ReplicaAccess.Copy, of entry: EntryID, _ bookie: String, _ id: LedgerID,
    _ seen: inout [EntryID: ByteBuffer],
    _ count: inout CopyCount
  ) {
    switch copy {
    case .good(let bytes):
      count.good += 1
      if let other = seen[entry], other != bytes {
        book.note(violation: "ledger \(id): the copies of entry \(entry) differ, one of them on \(bookie)")
      }
      seen[entry] = bytes
    case .absent: count.absent += 1
    case .damaged: count.damaged += 1
    case .unreachable: count.unreachable += 1
    }
  }
}

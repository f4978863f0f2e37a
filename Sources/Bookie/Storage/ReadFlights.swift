import NIOConcurrencyHelpers

/// The reads of entry logs that are under way, so that several readers of one place read it once: whoever comes second waits for
/// the first and finds what it read in the read cache. For threads that may block.
final class ReadFlights: Sendable {
  private struct Flight {
    var entries: ClosedRange<Int64>
    /// True when it has landed.
    var landed: ConditionLock<Bool>
  }

  private let flights = NIOLockedValueBox<[Int64: [Flight]]>([:])

  /// A read under way.
  struct Ticket {
    fileprivate let ledgerID: Int64
    fileprivate let landed: ConditionLock<Bool>
  }

  /// Begins to read `entries`: the caller reads, puts what it read into the read cache, and calls `land`. Or, if somebody else
  /// is reading the first of them, waits until that is done and returns nil: the read cache may have it now. Blocks.
  func board(_ ledgerID: Int64, _ entries: ClosedRange<Int64>) -> Ticket? {
    let mine = ConditionLock<Bool>(value: false)
    let other = flights.withLockedValue { flights -> ConditionLock<Bool>? in
      if let other = flights[ledgerID]?.first(where: { $0.entries.contains(entries.lowerBound) }) {
        return other.landed
      }
      flights[ledgerID, default: []].append(Flight(entries: entries, landed: mine))
      return nil
    }
    guard let other else { return Ticket(ledgerID: ledgerID, landed: mine) }
    other.lock(whenValue: true)
    other.unlock()
    return nil
  }

  /// What was to be read is in the read cache, or could not be read.
  func land(_ ticket: Ticket) {
    flights.withLockedValue { flights in
      flights[ticket.ledgerID]?.removeAll { $0.landed === ticket.landed }
      if flights[ticket.ledgerID]?.isEmpty == true { flights[ticket.ledgerID] = nil }
    }
    ticket.landed.lock()
    ticket.landed.unlock(withValue: true)
  }
}

import NIOConcurrencyHelpers

/// Entries that are stored here by name but cannot be read: what another replica must restore.
public struct DamagedEntries: Sendable, Equatable {
  /// The ledger.
  public var ledgerID: Int64
  /// The entries, in order.
  public var entryIDs: [Int64]

  /// The given entries of a ledger.
  public init(ledgerID: Int64, entryIDs: [Int64]) {
    self.ledgerID = ledgerID
    self.entryIDs = entryIDs
  }
}

/// The entries that were found damaged and have not been added again since. Any thread.
final class DamageList: Sendable {
  /// Most entries that are remembered: beyond them the next scrub finds them again.
  private static let limit = 100_000

  private struct State {
    var ledgers: [Int64: Set<Int64>] = [:]
    var count = 0
    var hasChanged = false
  }

  private let state = NIOLockedValueBox(State())

  var count: Int { state.withLockedValue { $0.count } }

  var all: [DamagedEntries] {
    state.withLockedValue { state in
      state.ledgers.sorted { $0.key < $1.key }.map { DamagedEntries(ledgerID: $0.key, entryIDs: $0.value.sorted()) }
    }
  }

  /// Adds entries. Returns those that were not known.
  @discardableResult
  func add(_ ledgerID: Int64, _ entryIDs: [Int64]) -> [Int64] {
    state.withLockedValue { state in
      var news: [Int64] = []
      for entry in entryIDs where state.count < Self.limit {
        guard state.ledgers[ledgerID, default: []].insert(entry).inserted else { continue }
        state.count += 1
        news.append(entry)
      }
      if !news.isEmpty { state.hasChanged = true }
      return news
    }
  }

  /// These entries are whole again.
  func remove(_ ledgerID: Int64, _ entryIDs: some Sequence<Int64>) {
    state.withLockedValue { state in
      guard var entries = state.ledgers[ledgerID] else { return }
      let before = entries.count
      entries.subtract(entryIDs)
      guard entries.count != before else { return }
      state.count -= before - entries.count
      state.ledgers[ledgerID] = entries.isEmpty ? nil : entries
      state.hasChanged = true
    }
  }

  /// The ledger was deleted.
  func remove(ledgerID: Int64) {
    state.withLockedValue { state in
      guard let gone = state.ledgers.removeValue(forKey: ledgerID) else { return }
      state.count -= gone.count
      state.hasChanged = true
    }
  }

  /// Whether there was a change since the last call.
  func takeChange() -> Bool {
    state.withLockedValue { state in
      defer { state.hasChanged = false }
      return state.hasChanged
    }
  }
}

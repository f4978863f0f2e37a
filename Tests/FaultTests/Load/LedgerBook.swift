import NIOConcurrencyHelpers

/// What the writers were told, ledger by ledger.
final class LedgerBook: Sendable {
  /// What is known of one ledger.
  struct Record: Sendable {
    var id: Int64
    /// Entries that were acknowledged: 0 up to this, without it.
    var acknowledged: Int64 = 0
    /// Entries that were given to the ledger.
    var pushed: Int64 = 0
    /// The last entry when its writer closed it.
    var closedAt: Int64?
    /// Whether its writer has done with it.
    var isDone = false
    var bytes = 0
    /// Entries that were read back and compared: 0 up to this, without it.
    var readBack: Int64 = 0
    var verified: Int64 { min(acknowledged, readBack) }
  }

  private struct State {
    var records: [Int64: Record] = [:]
    var verifiedOfDeleted: Int64 = 0
    var acknowledgedOfDeleted: Int64 = 0
    var ledgers = 0
    var deleted = 0
    var fenced = 0
    var failed = 0
    var violations: [String] = []
  }

  private let state = NIOLockedValueBox(State())

  func begin(_ id: Int64) {
    state.withLockedValue {
      $0.records[id] = Record(id: id)
      $0.ledgers += 1
    }
  }

  func update(_ id: Int64, _ change: (inout Record) -> Void) {
    state.withLockedValue { state in
      guard var record = state.records[id] else { return }
      change(&record)
      state.records[id] = record
    }
  }

  func record(_ id: Int64) -> Record? { state.withLockedValue { $0.records[id] } }

  func noteFenced() { state.withLockedValue { $0.fenced += 1 } }
  func noteFailed() { state.withLockedValue { $0.failed += 1 } }
  func note(violation: String) { state.withLockedValue { $0.violations.append(violation) } }

  /// A verified ledger is deleted.
  func remove(_ id: Int64) {
    state.withLockedValue { state in
      guard let record = state.records.removeValue(forKey: id) else { return }
      state.acknowledgedOfDeleted += record.acknowledged
      state.verifiedOfDeleted += record.verified
      state.deleted += 1
    }
  }

  /// All that are there, oldest first.
  var records: [Record] { state.withLockedValue { $0.records.values.sorted { $0.id < $1.id } } }

  var acknowledged: Int64 {
    state.withLockedValue { $0.acknowledgedOfDeleted + $0.records.values.reduce(0) { $0 + $1.acknowledged } }
  }
  var verified: Int64 {
    state.withLockedValue { $0.verifiedOfDeleted + $0.records.values.reduce(0) { $0 + $1.verified } }
  }
  var violations: [String] { state.withLockedValue { $0.violations } }
  var summary: String {
    state.withLockedValue {
      "\($0.ledgers) ledgers (\($0.fenced) fenced by a racing reader, \($0.failed) whose writer failed, \($0.deleted) deleted meanwhile)"
    }
  }
}

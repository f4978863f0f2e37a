import NIOConcurrencyHelpers

/// Bytes of each ledger that are alive in each entry log, as the index has them. Changed by the flusher's thread only.
final class LogUsage: Sendable {
  private let logs: NIOLockedValueBox<[UInt32: LogLedgers]>
  private let damaged = NIOLockedValueBox<Set<UInt32>>([])

  init(_ logs: [UInt32: LogLedgers]) {
    self.logs = NIOLockedValueBox(logs)
  }

  /// The ledgers in a log; nil if the index does not know the log.
  subscript(logID: UInt32) -> LogLedgers? { logs.withLockedValue { $0[logID] } }

  /// Bytes alive in each log.
  var liveBytes: [UInt32: Int64] {
    logs.withLockedValue { $0.mapValues(\.totalBytes) }
  }

  /// Logs of which nobody can say what is in them: they are kept.
  var quarantined: Set<UInt32> { damaged.withLockedValue { $0 } }

  /// Nobody can say what is in the log.
  func quarantine(_ logID: UInt32) {
    damaged.withLockedValue { _ = $0.insert(logID) }
  }

  var isEmpty: Bool { logs.withLockedValue { $0.isEmpty } }

  /// What a log holds from now on; nil if it is gone.
  func set(_ logID: UInt32, _ ledgers: LogLedgers?) {
    logs.withLockedValue { $0[logID] = ledgers }
  }

  /// What logs hold after `added` came and `garbage` was written over. Changes nothing yet.
  func changed(added: [UInt32: [Int64: Int64]], garbage: [UInt32: [Int64: Int64]]) -> [UInt32: LogLedgers] {
    var changes = added
    for (log, ledgers) in garbage {
      // Of a log without a record nobody knows what is left of it.
      guard added[log] != nil || self[log] != nil else { continue }
      changes[log, default: [:]].merge(ledgers.mapValues { -$0 }, uniquingKeysWith: +)
    }
    return changes.reduce(into: [:]) { changed, item in
      changed[item.key] = (self[item.key] ?? LogLedgers()).changed(by: item.value)
    }
  }

  /// What logs hold without some ledgers. Changes nothing yet.
  func without(_ ledgers: Set<Int64>) -> [UInt32: LogLedgers] {
    // The logs themselves are copied only where something is taken out.
    let all = logs.withLockedValue { $0 }
    var changed: [UInt32: LogLedgers] = [:]
    for (log, known) in all {
      let isThere = ledgers.count < known.count / 16 ? ledgers.contains(where: known.contains) : true
      guard isThere else { continue }
      let rest = known.without(ledgers)
      if rest.count != known.count { changed[log] = rest }
    }
    return changed
  }
}

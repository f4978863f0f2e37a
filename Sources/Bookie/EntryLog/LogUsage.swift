import NIOConcurrencyHelpers

/// Bytes of each ledger that are alive in each entry log, as the index has them. Changed by the flusher's thread only.
final class LogUsage: Sendable {
  private let logs: NIOLockedValueBox<[UInt32: [Int64: Int64]]>
  private let damaged = NIOLockedValueBox<Set<UInt32>>([])

  init(_ logs: [UInt32: [Int64: Int64]]) {
    self.logs = NIOLockedValueBox(logs)
  }

  /// The ledgers in a log; nil if the index does not know the log.
  subscript(logID: UInt32) -> [Int64: Int64]? { logs.withLockedValue { $0[logID] } }

  /// Bytes alive in each log.
  var liveBytes: [UInt32: Int64] {
    logs.withLockedValue { $0.mapValues { $0.values.reduce(0, +) } }
  }

  /// Logs of which nobody can say what is in them: they are kept.
  var quarantined: Set<UInt32> { damaged.withLockedValue { $0 } }

  /// Nobody can say what is in the log.
  func quarantine(_ logID: UInt32) {
    damaged.withLockedValue { _ = $0.insert(logID) }
  }

  var isEmpty: Bool { logs.withLockedValue { $0.isEmpty } }

  /// What a log holds from now on; nil if it is gone.
  func set(_ logID: UInt32, _ ledgers: [Int64: Int64]?) {
    logs.withLockedValue { $0[logID] = ledgers }
  }

  /// What logs hold after `added` came and `garbage` was written over. Changes nothing yet.
  func changed(added: [UInt32: [Int64: Int64]], garbage: [UInt32: [Int64: Int64]]) -> [UInt32: [Int64: Int64]] {
    logs.withLockedValue { logs in
      var changed: [UInt32: [Int64: Int64]] = [:]
      for (log, ledgers) in added {
        changed[log, default: logs[log] ?? [:]].merge(ledgers, uniquingKeysWith: +)
      }
      // Of a log without a record nobody knows what is left of it.
      for (log, ledgers) in garbage where logs[log] != nil || changed[log] != nil {
        for (ledger, bytes) in ledgers {
          let rest = (changed[log] ?? logs[log])?[ledger, default: 0] ?? 0
          changed[log, default: logs[log] ?? [:]][ledger] = rest > bytes ? rest - bytes : nil
        }
      }
      return changed
    }
  }

  /// What logs hold without some ledgers. Changes nothing yet.
  func without(_ ledgers: Set<Int64>) -> [UInt32: [Int64: Int64]] {
    logs.withLockedValue { logs in
      var changed: [UInt32: [Int64: Int64]] = [:]
      for (log, all) in logs {
        let gone = ledgers.count < all.count ? ledgers.filter { all[$0] != nil } : ledgers.intersection(all.keys)
        if !gone.isEmpty { changed[log] = all.filter { !gone.contains($0.key) } }
      }
      return changed
    }
  }
}

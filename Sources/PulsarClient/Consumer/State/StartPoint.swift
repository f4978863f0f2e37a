/// Where a consumer of its own position begins, and what is dropped before it: brokers begin at whole entries.
struct StartPoint: Equatable {
  var id: MessageID
  var isInclusive: Bool
  /// Messages published before this are dropped; in milliseconds since 1970.
  var publishTimeMs: Int64?

  init(_ id: MessageID, isInclusive: Bool, publishTimeMs: Int64? = nil) {
    self.id = id
    self.isInclusive = isInclusive
    self.publishTimeMs = publishTimeMs
  }

  private var isPosition: Bool { id != .earliest && id.ledgerID != .max }

  /// Whether a message lies before the start.
  func drops(_ other: MessageID, publishTimeMs: Int64) -> Bool {
    if let limit = self.publishTimeMs, publishTimeMs < limit { return true }
    guard isPosition else { return false }
    guard (other.ledgerID, other.entryID) == (id.ledgerID, id.entryID) else {
      return (other.ledgerID, other.entryID) < (id.ledgerID, id.entryID)
    }
    guard id.batchIndex >= 0, other.batchIndex >= 0 else { return !isInclusive }
    return isInclusive ? other.batchIndex < id.batchIndex : other.batchIndex <= id.batchIndex
  }

  /// Whether the topic's last message is at or behind the start.
  func isReached(by last: MessageID) -> Bool {
    guard last.entryID >= 0 else { return false }
    guard isPosition else { return id.ledgerID != .max }
    return !drops(last, publishTimeMs: .max)
  }
}

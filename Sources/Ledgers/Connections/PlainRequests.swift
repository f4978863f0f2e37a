import BookieWire

/// Requests that were sent without their ids, to a bookie that knows none: their answers are told apart by ledger, entry and
/// operation, in the order in which they were sent.
struct PlainRequests {
  struct Key: Hashable {
    var ledgerID: Int64
    var entryID: Int64
    var isAdd: Bool
  }

  private var waiters: [Key: [UInt64]] = [:]
  private var fences: Set<Key> = []

  /// Whether the answer to a read without a fence could be taken for that to a read with one, or the other way round.
  func mayBeMistaken(_ request: BookieRequest) -> Bool {
    guard case .read(let read) = request else { return false }
    let key = Key(ledgerID: read.ledgerID, entryID: read.entryID, isAdd: false)
    return waiters[key] != nil && fences.contains(key) != read.flags.contains(.fencing)
  }

  /// The request as it is sent; its id is kept here.
  mutating func sent(_ request: BookieRequest) -> BookieRequest {
    switch request {
    case .add(var add):
      if let id = add.requestID {
        waiters[Key(ledgerID: add.ledgerID, entryID: add.entryID, isAdd: true), default: []].append(id)
      }
      add.requestID = nil
      return .add(add)
    case .read(var read):
      if let id = read.requestID {
        let key = Key(ledgerID: read.ledgerID, entryID: read.entryID, isAdd: false)
        waiters[key, default: []].append(id)
        if read.flags.contains(.fencing) { fences.insert(key) } else { fences.remove(key) }
      }
      read.requestID = nil
      return .read(read)
    case .batchRead, .auth: return request
    }
  }

  /// Takes the id of the request that was sent first of those that an answer may belong to.
  mutating func next(_ key: Key) -> UInt64? {
    guard let first = waiters[key]?.first else { return nil }
    waiters[key]?.removeFirst()
    if waiters[key]?.isEmpty == true { waiters[key] = nil }
    return first
  }
}

import BookieWire
import NIOCore

/// The adds of one read of a connection for one journal, with their bytes laid out for it. Made without any lock.
struct AddBatch {
  /// One add.
  struct Add {
    var ledgerID: Int64
    var entryID: Int64
    var key: LedgerMasterKey
    var isRecovery: Bool
    var requestID: UInt64?
    var item: Int
    var location: EntrySegment.Location
  }

  private(set) var adds: [Add] = []
  private(set) var segment: EntrySegment
  /// Index of the journal.
  let journal: Int
  /// Whether it is of recovery: not refused while the bookie is read-only, and not behind ordinary adds in a queue.
  let isUrgent: Bool
  /// When the first add came.
  let at: NIODeadline

  /// A batch that will hold about `capacity` bytes.
  init(capacity: Int, journal: Int = 0, isUrgent: Bool = false, at: NIODeadline) {
    segment = EntrySegment(capacity: capacity)
    self.journal = journal
    self.isUrgent = isUrgent
    self.at = at
  }

  var byteCount: Int { segment.byteCount }

  mutating func append(_ add: AddRequest) {
    let (item, location) = segment.append(add.entry)
    adds.append(
      Add(
        ledgerID: add.ledgerID, entryID: add.entryID, key: add.masterKey, isRecovery: add.flags.contains(.recoveryAdd),
        requestID: add.requestID, item: item, location: location))
  }

  /// The adds from `start` on that are of the same ledger in the same way: where they end, and the highest entry among them.
  func group(from start: Int) -> (end: Int, lastEntry: Int64) {
    let first = adds[start]
    var lastEntry = first.entryID
    var end = start + 1
    while end < adds.count {
      let next = adds[end]
      guard next.ledgerID == first.ledgerID, next.isRecovery == first.isRecovery, next.key == first.key else { break }
      lastEntry = max(lastEntry, next.entryID)
      end += 1
    }
    return (end, lastEntry)
  }

  /// Takes back an add that the table refuses.
  mutating func void(_ index: Int) {
    segment.void(item: adds[index].item, length: Int(adds[index].location.length))
  }

  /// Journals a ledger's key with the batch.
  mutating func append(ledgerID: Int64, key: LedgerMasterKey) {
    segment.append(.ledger, ledgerID: ledgerID, key: key)
  }

  /// Computes the checksum of what is laid out until now, which the journal needs.
  mutating func checksum() {
    segment.computeChecksum()
  }

  /// Refuses all of it but the adds of the given indices.
  func refusal(_ code: BookieReturnCode, except: Set<Int> = []) -> BookieReply {
    .responses(
      adds.indices.lazy.filter { !except.contains($0) }.map { index in
        let add = adds[index]
        return .add(AddResponse(requestID: add.requestID, code: code, ledgerID: add.ledgerID, entryID: add.entryID))
      })
  }
}

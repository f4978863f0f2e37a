/// What a cursor has acknowledged: a position up to which everything is, the entries beyond it, and parts of batches.
///
/// Every question that depends on which entries exist takes the log's chain. Acknowledging an entry that does not exist,
/// or again, changes nothing.
struct CursorState: Sendable {
  /// Everything up to here is acknowledged.
  private(set) var markDelete: Position
  private(set) var acknowledged = AcknowledgedEntries()
  private(set) var partial = PartialBatches()
  /// Properties saved with the position.
  private(set) var properties: [String: Int64]
  /// An opaque snapshot saved with the position.
  private(set) var attachment: [UInt8]?
  /// Raised by every change: tells whether something is to be saved.
  private(set) var generation: UInt64 = 0
  /// Entries acknowledged since the state was made.
  private(set) var acknowledgedCounter: Int64 = 0

  /// A state where everything up to `markDelete` is acknowledged.
  init(markDelete: Position, properties: [String: Int64] = [:]) {
    self.markDelete = markDelete
    self.properties = properties
  }

  /// A state that starts as asked.
  init(_ initial: InitialPosition, properties: [String: Int64] = [:], in chain: LedgerChain) {
    let mark =
      switch initial {
      case .earliest: Self.markDelete(toDeliver: .earliest, in: chain)
      case .latest: chain.lastConfirmed
      case .at(let position): Self.markDelete(toDeliver: position, in: chain)
      }
    self.init(markDelete: mark, properties: properties)
  }

  /// The mark-delete position that makes `next` (or the first entry behind it) the next to be delivered.
  private static func markDelete(toDeliver next: Position, in chain: LedgerChain) -> Position {
    if next.entryID > .min,
      let previous = chain.last(atOrBefore: Position(ledgerID: next.ledgerID, entryID: next.entryID - 1))
    {
      return previous
    }
    guard let first = chain.firstPosition else { return chain.lastConfirmed }
    return Position(ledgerID: first.ledgerID, entryID: first.entryID - 1)
  }

  // MARK: Questions

  func isAcknowledged(_ position: Position) -> Bool {
    position <= markDelete || acknowledged.contains(position)
  }

  /// Entries that are not acknowledged as a whole.
  func backlog(in chain: LedgerChain) -> Int64 {
    max(0, chain.entryCount(after: markDelete) - acknowledged.count)
  }

  // MARK: Acknowledging

  mutating func acknowledge(
    _ position: Position, batchAckSet: [Int64]?, batchSize: Int?, in chain: LedgerChain
  ) -> AckOutcome {
    guard chain.contains(position), !isAcknowledged(position) else { return .alreadyAcknowledged }
    if let batchAckSet {
      switch partial.acknowledge(position, ackSet: batchAckSet, batchSize: batchSize) {
      case .some(let changed):
        if changed { generation += 1 }
        return .partial
      case .nothing: break
      }
    } else if !partial.isEmpty {
      partial.remove(position)
    }
    generation += 1
    acknowledgedCounter += 1
    if chain.first(after: markDelete) == position {
      moveMarkDelete(to: position, in: chain)
    } else {
      _ = acknowledged.insert(position)
    }
    return .entryComplete
  }

  /// Acknowledges everything up to `position`, of its own batch only what `batchAckSet` says. True if that changed
  /// anything.
  @discardableResult
  mutating func acknowledgeCumulative(
    _ position: Position, batchAckSet: [Int64]?, batchSize: Int?, in chain: LedgerChain
  ) -> Bool {
    guard let target = chain.last(atOrBefore: position), target > markDelete else { return false }
    let before = generation
    var mark: Position? = target
    if let batchAckSet, target == position, !acknowledged.contains(target),
      case .some(let changed) = partial.acknowledge(target, ackSet: batchAckSet, batchSize: batchSize)
    {
      if changed { generation += 1 }
      mark = chain.last(atOrBefore: Position(ledgerID: target.ledgerID, entryID: target.entryID - 1))
    }
    if let mark, mark > markDelete {
      acknowledgedCounter += max(0, chain.entryCount(after: markDelete) - chain.entryCount(after: mark))
      generation += 1
      moveMarkDelete(to: mark, in: chain)
    }
    return generation != before
  }

  /// Moves the mark-delete position and takes in what is acknowledged right behind it.
  private mutating func moveMarkDelete(to position: Position, in chain: LedgerChain) {
    var mark = position
    if !acknowledged.isEmpty {
      while let next = chain.first(after: mark), let end = acknowledged.endOfRange(at: next) { mark = end }
      acknowledged.remove(through: mark)
    }
    if !partial.isEmpty { partial.remove(through: mark) }
    markDelete = mark
  }

  /// Forgets every acknowledgement and makes `next` the next entry to be delivered.
  mutating func reset(to next: Position, in chain: LedgerChain) {
    acknowledged.removeAll()
    partial.removeAll()
    markDelete = Self.markDelete(toDeliver: next, in: chain)
    generation += 1
  }

  mutating func setAttachment(_ attachment: [UInt8]?) {
    guard self.attachment != attachment else { return }
    self.attachment = attachment
    generation += 1
  }

  mutating func setProperties(_ properties: [String: Int64]) {
    guard self.properties != properties else { return }
    self.properties = properties
    generation += 1
  }
}

extension CursorState {
  /// The state as it is saved, with the first `maxRanges` ranges and `maxPartial` parts of batches.
  func snapshot(maxRanges: Int, maxPartial: Int) -> CursorSnapshot {
    var snapshot = CursorSnapshot()
    snapshot.markDelete = PositionRecord(markDelete)
    snapshot.acknowledged = acknowledged.ranges(limit: maxRanges).map { range in
      CursorSnapshot.Range.with {
        $0.ledgerID = range.ledgerID
        $0.first = range.first
        $0.last = range.last
      }
    }
    snapshot.partial = partial.entries(limit: maxPartial).map { entry in
      CursorSnapshot.PartialEntry.with {
        $0.ledgerID = entry.position.ledgerID
        $0.entryID = entry.position.entryID
        $0.remaining = entry.words
      }
    }
    snapshot.properties = properties
    if let attachment { snapshot.attachment = .init(attachment) }
    return snapshot
  }

  /// The state that a snapshot holds, as far as its entries still exist.
  init(_ snapshot: CursorSnapshot, in chain: LedgerChain) {
    self.init(
      markDelete: snapshot.hasMarkDelete ? snapshot.markDelete.position : .earliest, properties: snapshot.properties)
    attachment = snapshot.hasAttachment ? Array(snapshot.attachment) : nil
    for range in snapshot.acknowledged {
      guard let segment = chain.segment(range.ledgerID), segment.entries > 0 else { continue }
      acknowledged.insert(
        .init(ledgerID: range.ledgerID, first: max(0, range.first), last: min(range.last, segment.entries - 1)))
    }
    for entry in snapshot.partial {
      let position = Position(ledgerID: entry.ledgerID, entryID: entry.entryID)
      guard chain.contains(position), !isAcknowledged(position) else { continue }
      partial.restore(position, words: entry.remaining)
    }
    acknowledged.remove(through: markDelete)
    moveMarkDelete(to: markDelete, in: chain)
  }
}

extension PositionRecord {
  init(_ position: Position) {
    self.init()
    ledgerID = position.ledgerID
    entryID = position.entryID
  }

  var position: Position { Position(ledgerID: ledgerID, entryID: entryID) }
}

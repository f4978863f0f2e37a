import PulsarWire

/// Gathers acknowledgements: which entries are done, and what to tell the broker next.
///
/// A batch is one entry: it is acknowledged when all its messages are, or in part, by the bits of the messages that are
/// left, where the broker takes that. The last chunk of a message stands for all of them.
struct AckTracker {
  struct Entry: Hashable, Comparable {
    var ledgerID: Int64
    var entryID: Int64

    static func < (a: Entry, b: Entry) -> Bool { (a.ledgerID, a.entryID) < (b.ledgerID, b.entryID) }
  }

  /// What one round tells the broker; the cumulative part goes first.
  struct Round: Equatable {
    var cumulative: MessageIDData?
    var individual: [MessageIDData] = []

    var isEmpty: Bool { cumulative == nil && individual.isEmpty }
  }

  private let acknowledgesIndexes: Bool
  private let maxGroupSize: Int
  private var batches: [Entry: BatchBits] = [:]
  private var chunks: [Entry: [Entry]] = [:]
  private var done: [Entry] = []
  private var partial: Set<Entry> = []
  private var cumulative: MessageIDData?
  /// The highest cumulative acknowledgement so far, sent or not.
  private var cumulativeMark: MessageID?

  init(acknowledgesIndexes: Bool, maxGroupSize: Int) {
    self.acknowledgesIndexes = acknowledgesIndexes
    self.maxGroupSize = max(1, maxGroupSize)
  }

  /// Whether nothing waits to be told.
  var isEmpty: Bool { done.isEmpty && partial.isEmpty && cumulative == nil }

  /// A batch came.
  ///
  /// - Returns: the messages to hand over: without those that were acknowledged before, when it comes again.
  mutating func delivered(batch entry: Entry, count: Int, ackSet: [Int64]) -> BatchBits {
    var bits = batches[entry] ?? BatchBits(count: count)
    bits.intersect(ackSet: ackSet)
    if let mark = cumulativeMark, mark.ledgerID == entry.ledgerID, mark.entryID == entry.entryID, mark.batchIndex >= 0 {
      bits.removeAll(through: Int(mark.batchIndex))
    }
    batches[entry] = bits
    return bits
  }

  /// A message in chunks came; the last one's id is the message's.
  mutating func delivered(chunks entries: [Entry]) {
    guard let last = entries.last else { return }
    chunks[last] = entries
  }

  /// The entries that a message is in: all chunks of one in chunks.
  func entries(of id: MessageID) -> [Entry] {
    let entry = Entry(ledgerID: id.ledgerID, entryID: id.entryID)
    return chunks[entry] ?? [entry]
  }

  /// A message is done.
  ///
  /// - Returns: whether so much waits that it is to be told at once.
  mutating func acknowledge(_ id: MessageID) -> Bool {
    let entry = Entry(ledgerID: id.ledgerID, entryID: id.entryID)
    guard id.entryID >= 0 else { return false }
    guard id.batchIndex >= 0 else {
      done.append(contentsOf: chunks.removeValue(forKey: entry) ?? [entry])
      return done.count + partial.count >= maxGroupSize
    }
    // A batch that is not known any more was acknowledged in whole, or belongs to another consumer.
    guard var bits = batches[entry], bits.remove(Int(id.batchIndex)) else { return false }
    if bits.isEmpty {
      batches[entry] = nil
      partial.remove(entry)
      done.append(entry)
    } else {
      batches[entry] = bits
      if acknowledgesIndexes { partial.insert(entry) }
    }
    return done.count + partial.count >= maxGroupSize
  }

  /// A message and all before it are done.
  mutating func acknowledgeCumulative(_ id: MessageID) {
    guard id.entryID >= 0 else { return }
    if let mark = cumulativeMark, id <= mark { return }
    cumulativeMark = id
    let entry = Entry(ledgerID: id.ledgerID, entryID: id.entryID)
    batches = batches.filter { $0.key >= entry }
    chunks = chunks.filter { $0.key > entry }
    partial = partial.filter { $0 >= entry }
    done.removeAll { $0 <= entry }
    guard id.batchIndex >= 0, var bits = batches[entry] else {
      cumulative = MessageIDData(ledgerID: id.ledgerID, entryID: id.entryID)
      return
    }
    bits.removeAll(through: Int(id.batchIndex))
    partial.remove(entry)
    if bits.isEmpty {
      batches[entry] = nil
      cumulative = MessageIDData(ledgerID: id.ledgerID, entryID: id.entryID)
    } else {
      batches[entry] = bits
      if acknowledgesIndexes {
        cumulative = MessageIDData(
          ledgerID: id.ledgerID, entryID: id.entryID, batchSize: id.batchSize > 0 ? id.batchSize : nil,
          ackSet: bits.ackSet)
      } else if id.entryID > 0 {
        // Everything before the batch is done; the batch itself is not yet.
        cumulative = MessageIDData(ledgerID: id.ledgerID, entryID: id.entryID - 1)
      }
    }
  }

  /// Takes out what is to be told now.
  mutating func drain() -> Round {
    var round = Round(cumulative: cumulative)
    round.individual = done.map { MessageIDData(ledgerID: $0.ledgerID, entryID: $0.entryID) }
    for entry in partial.sorted() {
      guard let bits = batches[entry] else { continue }
      round.individual.append(
        MessageIDData(ledgerID: entry.ledgerID, entryID: entry.entryID, ackSet: bits.ackSet))
    }
    cumulative = nil
    done.removeAll(keepingCapacity: true)
    partial.removeAll(keepingCapacity: true)
    return round
  }

  /// A round did not reach the broker: it is to be told again, with what came since.
  mutating func restore(_ round: Round) {
    if let lost = round.cumulative {
      let isBehind = cumulative.map { ($0.ledgerID, $0.entryID) < (lost.ledgerID, lost.entryID) } ?? true
      if isBehind { cumulative = lost }
    }
    for lost in round.individual {
      let entry = Entry(ledgerID: lost.ledgerID, entryID: lost.entryID)
      if lost.ackSet.isEmpty {
        done.append(entry)
      } else if batches[entry] != nil {
        partial.insert(entry)
      }
    }
  }

  /// Forgets everything: the subscription was moved.
  mutating func reset() {
    self = AckTracker(acknowledgesIndexes: acknowledgesIndexes, maxGroupSize: maxGroupSize)
  }
}

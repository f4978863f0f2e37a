import DequeModule

/// The entries whose batches are acknowledged in part, with the messages that remain.
///
/// Bit i of an entry's words is set while message i of its batch is not acknowledged.
struct PartialBatches: Sendable {
  /// The longest set that is taken, in words: 1,048,576 messages in a batch.
  static let maximumWords = 16_384

  private var remaining: [Position: [UInt64]] = [:]
  /// The keys in order, so that those that the mark-delete position passed are found at the front.
  private var order: Deque<Position> = []

  var count: Int { remaining.count }
  var isEmpty: Bool { remaining.isEmpty }

  subscript(position: Position) -> [UInt64]? { remaining[position] }

  /// What an acknowledgement leaves.
  enum Outcome: Equatable {
    case nothing
    case some(changed: Bool)
  }

  /// Acknowledges the messages of `position` whose bits in `ackSet` are clear.
  /// - Parameter batchSize: messages in the batch, if known; bits from there on are ignored.
  mutating func acknowledge(_ position: Position, ackSet: [Int64], batchSize: Int?) -> Outcome {
    let known = remaining[position]
    var words: [UInt64] = []
    // Words that the sender left out are zeros: clients cut trailing zeros.
    for (index, word) in ackSet.prefix(Self.maximumWords).enumerated() {
      var limit = UInt64.max
      if let known {
        guard index < known.count else { break }
        limit = known[index]
      } else if let batchSize, batchSize > 0 {
        let rest = batchSize - index * 64
        guard rest > 0 else { break }
        limit = rest >= 64 ? .max : (1 << UInt64(rest)) - 1
      }
      words.append(UInt64(bitPattern: word) & limit)
    }
    while words.last == 0 { words.removeLast() }
    if words.isEmpty {
      remove(position)
      return .nothing
    }
    if known == nil { insertKey(position) }
    remaining[position] = words
    return .some(changed: known != words)
  }

  /// Puts back what a snapshot held.
  mutating func restore(_ position: Position, words: [UInt64]) {
    var words = Array(words.prefix(Self.maximumWords))
    while words.last == 0 { words.removeLast() }
    guard !words.isEmpty else { return }
    if remaining.updateValue(words, forKey: position) == nil { insertKey(position) }
  }

  private func lowerBound(_ position: Position) -> Int {
    if let last = order.last, last < position { return order.count }
    var low = 0
    var high = order.count
    while low < high {
      let middle = (low + high) / 2
      if order[middle] < position { low = middle + 1 } else { high = middle }
    }
    return low
  }

  private mutating func insertKey(_ position: Position) {
    order.insert(position, at: lowerBound(position))
  }

  mutating func remove(_ position: Position) {
    guard remaining.removeValue(forKey: position) != nil else { return }
    order.remove(at: lowerBound(position))
  }

  mutating func remove(through position: Position) {
    while let first = order.first, first <= position {
      remaining[first] = nil
      order.removeFirst()
    }
  }

  mutating func removeAll() {
    remaining = [:]
    order = []
  }

  /// The entries in order, at most `limit`.
  func entries(limit: Int) -> [(position: Position, words: [UInt64])] {
    order.prefix(limit).compactMap { position in remaining[position].map { (position, $0) } }
  }
}

/// The messages of a batch that are still wanted, 64 to a word, as ACK and MESSAGE carry them.
struct BatchBits: Equatable {
  private(set) var words: [UInt64]

  /// All of `count` messages.
  init(count: Int) {
    let count = max(0, count)
    words = Array(repeating: .max, count: count / 64)
    if count % 64 != 0 { words.append(1 << UInt64(count % 64) - 1) }
  }

  var isEmpty: Bool { words.allSatisfy { $0 == 0 } }

  func contains(_ index: Int) -> Bool {
    guard index >= 0, index / 64 < words.count else { return false }
    return words[index / 64] & 1 << UInt64(index % 64) != 0
  }

  /// - Returns: whether it was there.
  mutating func remove(_ index: Int) -> Bool {
    guard contains(index) else { return false }
    words[index / 64] &= ~(1 << UInt64(index % 64))
    return true
  }

  mutating func removeAll(through index: Int) {
    for position in words.indices where position * 64 <= index {
      let last = index - position * 64
      words[position] = last >= 63 ? 0 : words[position] & ~((1 << UInt64(last + 1)) - 1)
    }
  }

  /// Keeps what the broker says is still wanted; an empty set says nothing.
  mutating func intersect(ackSet: [Int64]) {
    guard !ackSet.isEmpty else { return }
    for position in words.indices {
      words[position] &= position < ackSet.count ? UInt64(bitPattern: ackSet[position]) : 0
    }
  }

  /// For the wire: no words of zeros at the end.
  var ackSet: [Int64] {
    var words = self.words
    while words.last == 0 { words.removeLast() }
    return words.map { Int64(bitPattern: $0) }
  }
}

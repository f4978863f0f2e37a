import TopicLog

/// Entries that were read before and must be read again: asked for by a consumer, left behind by one, set aside because
/// of their key, or due after a delay. In the order of the log.
struct ReplayQueue: Sendable {
  struct Item: Sendable, Equatable {
    var position: Position
    var redeliveryCount: UInt32
    var keyHash: UInt16
  }

  /// Sorted by position, from `head` on.
  private var items: [Item] = []
  private var head = 0
  /// The positions of each key hash, sorted; kept only when `tracksKeys`.
  private var lanes: [UInt16: [Position]] = [:]
  let tracksKeys: Bool

  init(tracksKeys: Bool) { self.tracksKeys = tracksKeys }

  var count: Int { items.count - head }
  var isEmpty: Bool { count == 0 }

  /// The items in the order of the log.
  var ordered: ArraySlice<Item> { items[head...] }

  /// Whether entries of the key wait here: a later one must wait behind them.
  func holds(keyHash: UInt16) -> Bool { lanes[keyHash] != nil }

  /// Whether `position` is the first one of its key.
  func isFirst(_ position: Position, ofKeyHash keyHash: UInt16) -> Bool { lanes[keyHash]?.first == position }

  func item(at position: Position) -> Item? {
    let index = lowerBound(position)
    return index < items.count && items[index].position == position ? items[index] : nil
  }

  /// Adds an item; one that is there already stays as it is.
  mutating func insert(_ item: Item) {
    if let last = items.last, head < items.count, last.position >= item.position {
      let index = lowerBound(item.position)
      guard items[index].position != item.position else { return }
      if index == head, head > 0 {
        head -= 1
        items[head] = item
      } else {
        items.insert(item, at: index)
      }
    } else {
      items.append(item)
    }
    if tracksKeys { insertInLane(item) }
  }

  /// Adds many items at once, in any order: what a leaving consumer held.
  mutating func insert(contentsOf new: [Item]) {
    guard new.count > 8 else {
      for item in new { insert(item) }
      return
    }
    var merged = Array(ordered)
    merged.append(contentsOf: new)
    // A stable sort is not promised: of two items of one position the one with more redeliveries stays.
    merged.sort {
      $0.position != $1.position ? $0.position < $1.position : $0.redeliveryCount > $1.redeliveryCount
    }
    items.removeAll(keepingCapacity: true)
    head = 0
    for item in merged where items.last?.position != item.position { items.append(item) }
    guard tracksKeys else { return }
    lanes.removeAll(keepingCapacity: true)
    for item in items { lanes[item.keyHash, default: []].append(item.position) }
  }

  @discardableResult
  mutating func remove(_ position: Position) -> Item? {
    let index = lowerBound(position)
    guard index < items.count, items[index].position == position else { return nil }
    let item = items[index]
    if index == head {
      head += 1
      compact()
    } else {
      items.remove(at: index)
    }
    if tracksKeys { removeFromLane(item) }
    return item
  }

  /// Drops everything up to and including `position`.
  mutating func removeThrough(_ position: Position) {
    while head < items.count, items[head].position <= position {
      if tracksKeys { removeFromLane(items[head]) }
      head += 1
    }
    compact()
  }

  mutating func removeAll() {
    items.removeAll()
    lanes.removeAll()
    head = 0
  }

  private mutating func compact() {
    guard head > 64, head * 2 > items.count else {
      if head == items.count {
        items.removeAll(keepingCapacity: true)
        head = 0
      }
      return
    }
    items.removeSubrange(..<head)
    head = 0
  }

  private mutating func insertInLane(_ item: Item) {
    let position = item.position
    lanes[item.keyHash, default: []].insertSorted(position)
  }

  private mutating func removeFromLane(_ item: Item) {
    guard let index = lanes.index(forKey: item.keyHash) else { return }
    if lanes.values[index].count == 1 {
      lanes.remove(at: index)
    } else {
      lanes.values[index].removeSorted(item.position)
    }
  }

  /// The first index whose position is not below `position`.
  private func lowerBound(_ position: Position) -> Int {
    var low = head
    var high = items.count
    while low < high {
      let middle = (low + high) / 2
      if items[middle].position < position { low = middle + 1 } else { high = middle }
    }
    return low
  }
}

extension Array where Element == Position {
  fileprivate mutating func insertSorted(_ position: Position) {
    var index = count
    while index > 0, self[index - 1] > position { index -= 1 }
    insert(position, at: index)
  }

  fileprivate mutating func removeSorted(_ position: Position) {
    if let index = firstIndex(of: position) { remove(at: index) }
  }
}

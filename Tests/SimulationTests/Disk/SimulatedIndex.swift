import Foundation

@testable import Bookie

/// An ordered map that applies batches wholly or not at all, and keeps them over a crash if they were synced.
final class SimulatedIndex {
  private typealias Item = (key: [UInt8], value: [UInt8])

  private var items: [Item] = []
  private var durable: [Item]?

  private func place(_ key: [UInt8]) -> Int {
    var low = 0
    var high = items.count
    while low < high {
      let middle = (low + high) / 2
      if Self.isBefore(items[middle].key, key) { low = middle + 1 } else { high = middle }
    }
    return low
  }

  private static func isBefore(_ one: [UInt8], _ other: [UInt8]) -> Bool {
    // Much faster than comparing sequences, where nothing is optimised.
    let order = memcmp(one, other, min(one.count, other.count))
    return order == 0 ? one.count < other.count : order < 0
  }

  subscript(key: [UInt8]) -> [UInt8]? {
    let place = place(key)
    return place < items.count && items[place].key == key ? items[place].value : nil
  }

  func scan(
    from start: [UInt8], to end: [UInt8]?,
    _ body: (UnsafeRawBufferPointer, UnsafeRawBufferPointer) throws(BookieError) -> Bool
  ) throws(BookieError) {
    let all = items
    var at = place(start)
    while at < all.count {
      let (key, value) = all[at]
      at += 1
      if let end, !Self.isBefore(key, end) { return }
      var failure: BookieError?
      let goesOn = key.withUnsafeBytes { key in
        value.withUnsafeBytes { value in
          do throws(BookieError) {
            return try body(key, value)
          } catch {
            failure = error
            return false
          }
        }
      }
      if let failure { throw failure }
      if !goesOn { return }
    }
  }

  func wipe() {
    items = []
    durable = nil
  }

  func apply(_ changes: [KeyValueChanges.Change], isSynced: Bool) {
    if !isSynced, durable == nil { durable = items }
    for change in changes {
      switch change {
      case .put(let key, let value):
        let place = place(key)
        if place < items.count, items[place].key == key {
          items[place].value = value
        } else {
          items.insert((key, value), at: place)
        }
      case .delete(let key):
        let place = place(key)
        if place < items.count, items[place].key == key { items.remove(at: place) }
      case .deleteRange(let start, let end):
        let (first, last) = (place(start), place(end))
        if first < last { items.removeSubrange(first..<last) }
      }
    }
    if isSynced { durable = nil }
  }

  func crash() {
    if let durable { items = durable }
    durable = nil
  }
}

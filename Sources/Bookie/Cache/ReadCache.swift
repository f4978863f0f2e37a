import NIOConcurrencyHelpers
import NIOCore

/// Entries that were read from entry logs, with those behind them. Bounded in bytes; the oldest block goes first. Any thread.
final class ReadCache: Sendable {
  /// Consecutive records of one ledger.
  private struct Block {
    var number: UInt64
    var entryIDs: [Int64]
    var entries: [ByteBuffer]
    var byteCount: Int
  }

  private struct State {
    var blocks: [Int64: [Block]] = [:]
    var order: CircularBuffer<(ledgerID: Int64, number: UInt64)> = []
    var byteCount = 0
    var nextNumber: UInt64 = 0
  }

  private let capacity: Int
  private let state = NIOLockedValueBox(State())

  init(capacity: Int) {
    self.capacity = capacity
  }

  var byteCount: Int { state.withLockedValue { $0.byteCount } }

  func entry(ledgerID: Int64, entryID: Int64) -> ByteBuffer? {
    state.withLockedValue { state in
      guard let blocks = state.blocks[ledgerID] else { return nil }
      for block in blocks.reversed() {
        guard let first = block.entryIDs.first, let last = block.entryIDs.last, first <= entryID, entryID <= last else {
          continue
        }
        if let index = Self.index(of: entryID, in: block.entryIDs) { return block.entries[index] }
      }
      return nil
    }
  }

  /// Entries with consecutive numbers from `entryID` on that were read together: at most `count`, and not many more than
  /// `bytes` in all.
  func entries(ledgerID: Int64, from entryID: Int64, atMost count: Int, bytes: Int64) -> [ByteBuffer] {
    state.withLockedValue { state in
      for block in (state.blocks[ledgerID] ?? []).reversed() {
        guard let first = block.entryIDs.first, let last = block.entryIDs.last, first <= entryID, entryID <= last,
          let start = Self.index(of: entryID, in: block.entryIDs)
        else { continue }
        var end = start
        var size: Int64 = 0
        while end < block.entries.count, end - start < count, size <= bytes,
          block.entryIDs[end] == entryID + Int64(end - start)
        {
          size += 4 + Int64(block.entries[end].readableBytes)
          end += 1
        }
        return Array(block.entries[start..<end])
      }
      return []
    }
  }

  /// Keeps entries, which are in order.
  func insert(ledgerID: Int64, entryIDs: [Int64], entries: [ByteBuffer]) {
    let byteCount = entries.reduce(64) { $0 + $1.readableBytes + 32 }
    guard byteCount <= capacity else { return }
    state.withLockedValue { state in
      let number = state.nextNumber
      state.nextNumber += 1
      state.blocks[ledgerID, default: []].append(
        Block(number: number, entryIDs: entryIDs, entries: entries, byteCount: byteCount))
      state.order.append((ledgerID, number))
      state.byteCount += byteCount
      while state.byteCount > capacity, let oldest = state.order.popFirst() {
        Self.remove(oldest.ledgerID, &state) { $0.number == oldest.number }
      }
    }
  }

  /// Forgets a ledger: it was deleted, or entries of it were replaced.
  func remove(ledgerID: Int64) {
    state.withLockedValue { state in
      guard state.blocks[ledgerID] != nil else { return }
      Self.remove(ledgerID, &state) { _ in true }
      state.order = CircularBuffer(state.order.filter { $0.ledgerID != ledgerID })
    }
  }

  private static func remove(_ ledgerID: Int64, _ state: inout State, where isGone: (Block) -> Bool) {
    guard var blocks = state.blocks[ledgerID] else { return }
    blocks.removeAll { block in
      guard isGone(block) else { return false }
      state.byteCount -= block.byteCount
      return true
    }
    state.blocks[ledgerID] = blocks.isEmpty ? nil : blocks
  }

  private static func index(of entryID: Int64, in ids: [Int64]) -> Int? {
    var low = 0
    var high = ids.count
    while low < high {
      let middle = (low + high) / 2
      if ids[middle] < entryID { low = middle + 1 } else { high = middle }
    }
    return low < ids.count && ids[low] == entryID ? low : nil
  }
}

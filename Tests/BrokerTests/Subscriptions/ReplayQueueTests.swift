import Testing
import TopicLog

@testable import Broker

@Suite struct ReplayQueueTests {
  private func item(_ entryID: Int64, key: UInt16 = 0, count: UInt32 = 0) -> ReplayQueue.Item {
    ReplayQueue.Item(
      position: Position(ledgerID: 1, entryID: entryID), redeliveryCount: count, keyHash: key)
  }

  @Test func keepsOrderAndIgnoresRepeats() {
    var queue = ReplayQueue(tracksKeys: true)
    for entry in [5, 3, 9, 3, 1, 9] { queue.insert(item(Int64(entry), key: UInt16(entry % 2))) }
    #expect(queue.ordered.map(\.position.entryID) == [1, 3, 5, 9])
    #expect(queue.isFirst(Position(ledgerID: 1, entryID: 1), ofKeyHash: 1))
    queue.remove(Position(ledgerID: 1, entryID: 1))
    #expect(queue.isFirst(Position(ledgerID: 1, entryID: 3), ofKeyHash: 1))
    queue.removeThrough(Position(ledgerID: 1, entryID: 5))
    #expect(queue.ordered.map(\.position.entryID) == [9])
    queue.remove(Position(ledgerID: 1, entryID: 9))
    #expect(queue.isEmpty)
    #expect(!queue.holds(keyHash: 1))
  }

  @Test func groupOfLeavingConsumerIsMerged() {
    var queue = ReplayQueue(tracksKeys: true)
    queue.insert(item(4, key: 4, count: 7))
    queue.insert(contentsOf: (0..<20).shuffled().map { item(Int64($0), key: UInt16($0), count: 1) })
    #expect(queue.ordered.map(\.position.entryID) == Array(0..<20))
    #expect(queue.item(at: Position(ledgerID: 1, entryID: 4))?.redeliveryCount == 7)
    #expect(queue.holds(keyHash: 19))
  }

  @Test(arguments: 0..<20) func behavesAsSortedDictionary(seed: Int) {
    var random = SeededGenerator(seed: UInt64(seed))
    var queue = ReplayQueue(tracksKeys: true)
    var model: [Position: ReplayQueue.Item] = [:]
    for _ in 0..<2_000 {
      let new = item(Int64.random(in: 0..<300, using: &random), key: UInt16.random(in: 0..<8, using: &random))
      switch Int.random(in: 0..<10, using: &random) {
      case 0..<5:
        if model[new.position] == nil {
          model[new.position] = new
          queue.insert(new)
        }
      case 5..<9:
        let removed = queue.remove(new.position)
        #expect(removed == model.removeValue(forKey: new.position))
      default:
        let border = Position(ledgerID: 1, entryID: Int64.random(in: 0..<100, using: &random))
        queue.removeThrough(border)
        model = model.filter { $0.key > border }
      }
    }
    let expected = model.values.sorted { $0.position < $1.position }
    #expect(Array(queue.ordered) == expected)
    for key in UInt16(0)..<8 {
      let first = expected.first { $0.keyHash == key }
      #expect(queue.holds(keyHash: key) == (first != nil))
      if let first { #expect(queue.isFirst(first.position, ofKeyHash: key)) }
    }
  }
}

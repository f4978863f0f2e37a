import Testing

@testable import Broker

@Suite struct KeyHashAssignmentTests {
  private let auto = KeySharedPolicy()

  private func sticky(_ ranges: (Int, Int)...) -> KeySharedPolicy {
    KeySharedPolicy(mode: .sticky, ranges: ranges.map { KeyHashRange(start: $0.0, end: $0.1) })
  }

  @Test func everyHashHasAnOwnerAndRangesAgree() throws {
    var assignment = KeyHashAssignment(pointsPerConsumer: 100)
    for key in 0..<5 { try assignment.add(key, name: "consumer-\(key)", policy: auto) }
    let ranges = (0..<5).map { assignment.ranges(of: $0) }
    #expect(ranges.joined().reduce(0) { $0 + $1.end - $1.start + 1 } == 65_536)
    var counts = [Int](repeating: 0, count: 5)
    for hash in UInt16.min...UInt16.max {
      let owner = try #require(assignment.owner(hash))
      counts[owner] += 1
    }
    for key in 0..<5 {
      #expect(counts[key] == ranges[key].reduce(0) { $0 + $1.end - $1.start + 1 })
      #expect(counts[key] > 65_536 / 5 / 2)
      for range in ranges[key] { #expect(assignment.owner(UInt16(range.start)) == key) }
    }
  }

  @Test func onlyTheShareOfALeavingConsumerMoves() throws {
    var assignment = KeyHashAssignment(pointsPerConsumer: 100)
    for key in 0..<4 { try assignment.add(key, name: "consumer-\(key)", policy: auto) }
    let before = (UInt16.min...UInt16.max).map { assignment.owner($0) }
    assignment.remove(2)
    for (hash, owner) in before.enumerated() where owner != 2 {
      #expect(assignment.owner(UInt16(hash)) == owner)
    }
    // The same name gets the same keys back, whatever its number.
    try assignment.add(9, name: "consumer-2", policy: auto)
    for (hash, owner) in before.enumerated() where owner == 2 { #expect(assignment.owner(UInt16(hash)) == 9) }
  }

  @Test func consumersOfOneNameShare() throws {
    var assignment = KeyHashAssignment(pointsPerConsumer: 100)
    try assignment.add(0, name: "same", policy: auto)
    try assignment.add(1, name: "same", policy: auto)
    #expect(!assignment.ranges(of: 0).isEmpty)
    #expect(!assignment.ranges(of: 1).isEmpty)
  }

  @Test func stickyRangesAreExact() throws {
    var assignment = KeyHashAssignment(pointsPerConsumer: 100)
    try assignment.add(0, name: "a", policy: sticky((0, 99), (200, 299)))
    try assignment.add(1, name: "b", policy: sticky((100, 199)))
    #expect(assignment.owner(0) == 0)
    #expect(assignment.owner(99) == 0)
    #expect(assignment.owner(100) == 1)
    #expect(assignment.owner(299) == 0)
    #expect(assignment.owner(300) == nil)
    assignment.remove(0)
    #expect(assignment.owner(50) == nil)
    try assignment.add(2, name: "c", policy: sticky((0, 99)))
    #expect(assignment.owner(50) == 2)
  }

  @Test func wrongRangesAreRefusedAndLeaveNoTrace() throws {
    var assignment = KeyHashAssignment(pointsPerConsumer: 100)
    try assignment.add(0, name: "a", policy: sticky((100, 200)))
    for policy in [
      sticky(), sticky((200, 300)), sticky((0, 100)), sticky((0, 65_536)), sticky((-1, 5)), sticky((9, 8)),
      sticky((0, 10), (10, 20)), auto,
    ] {
      #expect(throws: SubscriptionError.self) { try assignment.add(1, name: "b", policy: policy) }
    }
    #expect(assignment.ranges(of: 1).isEmpty)
    #expect(assignment.owner(300) == nil)
  }
}

import TestSupport
import Testing

@testable import TopicLog

@Suite("A topic's log over real bookies", .serialized)
struct BookieIntegrationTests {
  private func texts(_ range: Range<Int>) -> [String] { range.map { "m\($0)" } }

  @Test("survives roll-over and a crash of its owner without losing anything")
  func crash() async throws {
    try await TestCell.with(bookies: 3) { cell in
      let log = try await cell.open { $0.maxEntriesPerLedger = 50 }
      let cursor = try await log.openCursor("s", initial: .earliest)
      var positions: [Position] = []
      for batch in 0..<12 {
        positions += try await log.append(all: texts(batch * 25..<batch * 25 + 25)).map { try $0.get() }
      }
      #expect(try await log.on { log.internalStats.ledgers.count } > 2)
      #expect(try await log.readAll(step: 64) == texts(0..<300))
      try await cursor.setMarkDelete(positions[99], attachment: [7])
      let unsaved = positions[149]
      try await log.on { cursor.acknowledgeCumulative(unsaved) }
      // The owner "dies" here; another one takes over.
      let next = try await cell.open()
      #expect(try await next.readAll(step: 64) == texts(0..<300))
      let mark = try await next.on { next.cursors["s"]?.markDelete }
      #expect(mark == positions[99] || mark == unsaved)
      #expect(try await next.on { next.cursors["s"]?.attachment } == [7])
      await #expect(throws: TopicLogError.fenced(topic: log.name)) { _ = try await log.append("zombie") }
      let last = try await next.append("m300")
      #expect(last > positions[299])
      #expect(try await next.readAll(step: 64) == texts(0..<301))
      try await next.close()
      let third = try await cell.open()
      #expect(try await third.readAll(step: 200) == texts(0..<301))
      try await third.delete()
      let fourth = try await cell.open()
      #expect(try await fourth.on { fourth.firstPosition } == nil)
      #expect(try await fourth.append("m0") > last)
      try await fourth.close()
    }
  }

  @Test("appends through the failure of a bookie")
  func bookieFailure() async throws {
    try await TestCell.with(bookies: 4) { cell in
      let log = try await cell.open()
      async let appended = withThrowingTaskGroup(of: Void.self) { group in
        for batch in 0..<10 {
          for result in try await log.append(all: texts(batch * 20..<batch * 20 + 20)) { _ = try result.get() }
          if batch == 2 { group.addTask { try await cell.bookies[1].shutdown() } }
        }
        try await group.waitForAll()
      }
      try await appended
      #expect(try await log.readAll(step: 50) == texts(0..<200))
      let next = try await cell.open()
      #expect(try await next.readAll(step: 50) == texts(0..<200))
      try await next.close()
    }
  }

  @Test("trims ledgers that every cursor passed")
  func trimming() async throws {
    try await TestCell.with(bookies: 3) { cell in
      let log = try await cell.open {
        $0.maxEntriesPerLedger = 20
        $0.retentionTime = .zero
        $0.retentionSize = 0
      }
      let cursor = try await log.openCursor("s", initial: .earliest)
      var positions: [Position] = []
      for batch in 0..<8 {
        positions += try await log.append(all: texts(batch * 10..<batch * 10 + 10)).map { try $0.get() }
      }
      let first = positions[0]
      try await cursor.setMarkDelete(positions[59], attachment: nil)
      await eventually {
        try await log.trim()
        return try await log.on { log.firstPosition ?? first } > first
      }
      #expect(try await log.readAll().last == "m79")
      #expect(try await log.on { cursor.backlogEntries } == 20)
      // Nobody can find the ledger any more.
      await eventually { (try? await cell.client.ledgerMetadata(first.ledgerID)) == nil }
      try await log.close()
    }
  }
}

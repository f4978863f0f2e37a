import Testing

@testable import TopicLog

@Suite("The append pipeline")
struct AppendPipelineTests {
  private let error = TopicLogError.noWritableLedger(topic: "t", reason: "r")

  @Test("opens a ledger for the first append and sends what waited")
  func opening() {
    var pipeline = AppendPipeline(maximumFailedLedgers: 3)
    #expect(pipeline.append() == .openLedger)
    #expect(pipeline.append() == .nothing)
    #expect(pipeline.ledgerOpened() == .send(count: 2))
    #expect(pipeline.append() == .send(count: 1))
    #expect(pipeline.inFlight == 3 && pipeline.waiting == 0)
    #expect(pipeline.confirmed() == .nothing)
  }

  @Test("goes over to the next ledger only when the last entry is confirmed")
  func rollOver() {
    var pipeline = AppendPipeline(maximumFailedLedgers: 3)
    _ = pipeline.append()
    _ = pipeline.ledgerOpened()
    #expect(pipeline.rollOver() == .nothing)
    #expect(pipeline.append() == .nothing, "waits")
    #expect(pipeline.confirmed() == .rollOver)
    #expect(pipeline.ledgerOpened() == .send(count: 1))
    _ = pipeline.confirmed()
    #expect(pipeline.rollOver() == .rollOver, "at once if nothing is in flight")
  }

  @Test("sends nothing elsewhere before the failed ledger is closed")
  func failure() {
    var pipeline = AppendPipeline(maximumFailedLedgers: 2)
    _ = pipeline.append()
    _ = pipeline.append()
    _ = pipeline.append()
    _ = pipeline.ledgerOpened()
    #expect(pipeline.ledgerFailed() == .closeFailedLedger)
    #expect(pipeline.ledgerFailed() == .nothing, "once")
    #expect(pipeline.append() == .nothing)
    #expect(pipeline.ledgerOpened() == .nothing)
    _ = pipeline.confirmed()  // turned out to be stored
    #expect(pipeline.failedLedgerClosed(error: error) == .openLedger)
    #expect(pipeline.ledgerOpened() == .send(count: 3))
    #expect(pipeline.ledgerFailed() == .closeFailedLedger)
    #expect(pipeline.failedLedgerClosed(error: error) == .openLedger)
    _ = pipeline.ledgerOpened()
    #expect(pipeline.ledgerFailed() == .closeFailedLedger)
    #expect(pipeline.failedLedgerClosed(error: error) == .failAll(error), "bounded")
    #expect(pipeline.append() == .openLedger, "and tried again for the next append")
  }

  @Test("gives everything up when it cannot know what is stored")
  func undecided() {
    var pipeline = AppendPipeline(maximumFailedLedgers: 3)
    _ = pipeline.append()
    _ = pipeline.ledgerOpened()
    _ = pipeline.ledgerFailed()
    let end = TopicLogError.appendUndecided(topic: "t", reason: "r")
    #expect(pipeline.closingFailed(end) == .failAll(end))
    #expect(pipeline.append() == .refuse(end))
    #expect(pipeline.phase == .stopped)
  }

  @Test("refuses new appends and finishes the old ones")
  func refusal() {
    var pipeline = AppendPipeline(maximumFailedLedgers: 3)
    _ = pipeline.append()
    pipeline.refuse(.terminated(topic: "t"))
    #expect(pipeline.append() == .refuse(.terminated(topic: "t")))
    #expect(pipeline.ledgerOpened() == .send(count: 1))
    #expect(pipeline.confirmed() == .nothing)
    #expect(pipeline.stop(.closed(topic: "t")) == .nothing)
    #expect(pipeline.append() == .refuse(.closed(topic: "t")))
  }
}

import BookieWire
import Logging
import MetadataStore
import NIOCore
import NIOPosix
import TestSupport
import Testing

@testable import Ledgers

/// Connections to bookies without request ids, whose answers are told apart by ledger and entry alone.
@Suite(.serialized) struct PlainConnectionTests {
  private static func with(
    timeout: TimeAmount, _ body: (OldBookie, LoopBookies) async throws -> Void
  ) async throws {
    let directory = try TemporaryDirectory()
    defer { directory.remove() }
    let metadata = try await RocksDBStore.open(path: directory.file("metadata"))
    let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
    let bookie = try await OldBookie.start("old", metadata: metadata, group: group)
    var configuration = LedgerClientConfiguration()
    configuration.readEntryTimeout = timeout
    var logger = Logger(label: "client")
    logger.logLevel = .error
    let client = LedgerClient(metadata: metadata, group: group, configuration: configuration, logger: logger)
    try await body(bookie, try client.bookies(on: group.next()))
    try await client.shutdown()
    try await bookie.stop()
    try await metadata.close()
    try await group.shutdownGracefully()
  }

  /// Reads, one after the other in one turn of the loop.
  private static func read(
    _ bookies: LoopBookies, _ reads: (entry: Int64, isFencing: Bool)...
  ) async throws -> [BookieReturnCode?] {
    try await bookies.eventLoop.flatSubmit { () -> EventLoopFuture<[BookieReturnCode?]> in
      let answers = reads.map { read in
        let promise = bookies.eventLoop.makePromise(of: BookieReturnCode?.self)
        bookies.connection(to: "old").read(
          ledgerID: 7, entryID: read.entry, fencingKey: read.isFencing ? LedgerMasterKey(password: []) : nil
        ) { code, _ in promise.succeed(code) }
        return promise.futureResult
      }
      return EventLoopFuture.whenAllSucceed(answers, on: bookies.eventLoop)
    }.get()
  }

  @Test func aReadIsNotTakenForAFence() async throws {
    try await Self.with(timeout: .seconds(30)) { bookie, bookies in
      bookie.holdReads()
      async let answers = Self.read(
        bookies, (ReadRequest.lastEntry, false), (ReadRequest.lastEntry, true), (3, false))
      await eventually { bookie.lastRead == 3 }
      // The fence waits for the answer to the read before it.
      #expect(bookie.reads.single == 2)
      bookie.releaseReads()
      let codes = try await answers
      #expect(codes == [.noEntry, .noEntry, .noEntry])
      #expect(bookie.reads.single == 3)
      #expect(bookie.connections == 1)
    }
  }

  @Test func anAnswerThatComesTooLateIsNotTakenForALaterOne() async throws {
    try await Self.with(timeout: .milliseconds(200)) { bookie, bookies in
      bookie.holdReads()
      let codes = try await Self.read(bookies, (ReadRequest.lastEntry, false))
      #expect(codes == [nil])
      await eventually {
        bookie.releaseReads()
        return try await Self.read(bookies, (ReadRequest.lastEntry, true)) == [.noEntry]
      }
      #expect(bookie.connections == 2)
    }
  }
}

import BookieWire
import Logging
import MetadataStore
import NIOCore
import NIOPosix
import TestSupport
import Testing

@testable import Ledgers

/// A writer and its connections, with one bookie that takes adds and never answers.
@Suite(.serialized) struct SlowBookieMemoryTests {
  /// Answers every add at once, or none.
  private final class Bookie: BookieService {
    let bookieID: String
    let isSilent: Bool

    init(_ id: String, isSilent: Bool) {
      bookieID = id
      self.isSilent = isSilent
    }

    func connect(
      on eventLoop: any EventLoop, onResponses: @escaping ([BookieResponse]) -> Void, onClose: @escaping () -> Void
    ) -> any LocalBookieConnection {
      Connection(isSilent, eventLoop, onResponses)
    }
  }

  private final class Connection: LocalBookieConnection {
    private let isSilent: Bool
    private let eventLoop: any EventLoop
    private let onResponses: ([BookieResponse]) -> Void

    init(_ isSilent: Bool, _ eventLoop: any EventLoop, _ onResponses: @escaping ([BookieResponse]) -> Void) {
      self.isSilent = isSilent
      self.eventLoop = eventLoop
      self.onResponses = onResponses
    }

    func submit(_ requests: [BookieRequest]) {
      guard !isSilent else { return }
      let answers = requests.compactMap { request -> BookieResponse? in
        guard case .add(let add) = request else { return nil }
        return .add(AddResponse(requestID: add.requestID, code: .ok, ledgerID: add.ledgerID, entryID: add.entryID))
      }
      let loop = NIOLoopBound(self, eventLoop: eventLoop)
      eventLoop.execute { loop.value.onResponses(answers) }
    }

    func close() {}
  }

  @Test func addsThatABookieDoesNotAnswerAreBoundedHoweverMany() async throws {
    let directory = try TemporaryDirectory()
    defer { directory.remove() }
    let metadata = try await RocksDBStore.open(path: directory.file("metadata"))
    let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
    var configuration = LedgerClientConfiguration()
    let registry = LocalBookieRegistry()
    for id in ["a", "b", "c"] {
      registry.register(Bookie(id, isSilent: id == "c"))
      try await metadata.put("/bookies/available/\(id)", Array(#"{"host":"127.0.0.1","port":1}"#.utf8))
    }
    configuration.localBookies = registry
    configuration.addEntryTimeout = .seconds(600)
    configuration.slowBookieLatencyFactor = 0
    configuration.maximumQueuedBytesPerBookie = 16 << 20
    var logger = Logger(label: "client")
    logger.logLevel = .error
    let client = LedgerClient(metadata: metadata, group: group, configuration: configuration, logger: logger)
    let loop = group.next()
    let ledger = try await client.createLedger(
      LedgerOptions(ensembleSize: 3, writeQuorumSize: 3, ackQuorumSize: 2), on: loop)
    let bookies = try client.bookies(on: loop)
    var most = 0
    for _ in 0..<30 {
      #expect(try await LedgerLoad.run(ledger, count: 10_000, window: 2_000, size: 16).acknowledged == 10_000)
      let queued = try await loop.submit { bookies.connection(to: "c").queuedBytes }.get()
      most = max(most, queued)
    }
    let pending = try await loop.submit { ledger.pendingBytes }.get()
    let budget = configuration.maximumQueuedBytesPerBookie
    #expect(most <= budget && most > budget - 1_000)
    #expect(pending == 0)
    _ = try await ledger.close()
    // What the bookie lacks is one range, known before the ledger is closed.
    let marks = try await LedgerOperator(client: client).underReplicated()
    #expect(marks.map(\.suspects) == [[SuspectCopies(bookie: "c", first: 0, last: 299_999)]])
    try await client.shutdown()
    try await metadata.close()
    try await group.shutdownGracefully()
  }
}

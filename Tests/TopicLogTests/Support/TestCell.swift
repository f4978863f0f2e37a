import Bookie
import Ledgers
import Logging
import MetadataStore
import NIOCore
import NIOPosix
import TestSupport

@testable import TopicLog

/// Real bookies and a real metadata store, in this process and in a temporary directory.
final class TestCell: Sendable {
  let metadata: RocksDBStore
  let bookies: [Bookie]
  let client: LedgerClient
  let group = MultiThreadedEventLoopGroup.singleton

  private init(directory: TemporaryDirectory, bookies count: Int) async throws {
    let metadata = try await RocksDBStore.open(path: directory.file("metadata"))
    var bookies: [Bookie] = []
    for index in 0..<count {
      var configuration = BookieConfiguration(bookieID: "b\(index)", directory: directory.file("b\(index)"))
      configuration.writeCacheSize = 8 << 20
      configuration.readCacheSize = 1 << 20
      bookies.append(
        try await Bookie.start(configuration: configuration, metadata: metadata, group: group, logger: quiet))
    }
    var configuration = LedgerClientConfiguration()
    configuration.addEntryTimeout = .seconds(4)
    self.metadata = metadata
    self.bookies = bookies
    self.client = LedgerClient(metadata: metadata, group: group, configuration: configuration, logger: quiet)
  }

  /// Runs `body` with a cell of `bookies` bookies.
  static func with(bookies: Int = 4, _ body: (TestCell) async throws -> Void) async throws {
    try await TemporaryDirectory.with { directory in
      let cell = try await TestCell(directory: directory, bookies: bookies)
      let result: Result<Void, any Error>
      do {
        result = .success(try await body(cell))
      } catch {
        result = .failure(error)
      }
      try await cell.client.shutdown()
      for bookie in cell.bookies { try? await bookie.shutdown() }
      try await cell.metadata.close()
      try result.get()
    }
  }

  func open(_ configure: (inout TopicLogConfiguration) -> Void = { _ in }) async throws -> TopicLog {
    var configuration = TopicLogConfiguration()
    configuration.minimumRolloverTime = .zero
    configuration.retentionTime = nil
    configuration.retentionSize = nil
    configuration.markDeleteInterval = .milliseconds(50)
    configure(&configuration)
    return try await TopicLog.open(
      name: "public/default/persistent/t", ledgers: client, metadata: metadata, configuration: configuration,
      cache: EntryCacheBudget(limit: 8 << 20), on: group.next(), logger: quiet)
  }
}

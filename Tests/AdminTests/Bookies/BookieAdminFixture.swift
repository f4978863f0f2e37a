import Bookie
import Foundation
import Ledgers
import Logging
import MetadataStore
import NIOCore
import NIOPosix
import TestSupport

@testable import Admin

/// Real bookies with a client of ledgers, and the admin server of a process that has them.
struct BookieAdminFixture {
  var client: AdminClient
  var bookies: [Bookie]
  var ledgers: LedgerClient
  var metadata: RocksDBStore

  static func run(bookies count: Int, _ body: (BookieAdminFixture) async throws -> Void) async throws {
    try await TemporaryDirectory.with { directory in
      let logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
      let group = MultiThreadedEventLoopGroup.singleton
      let metadata = try await RocksDBStore.open(path: directory.file("metadata"))
      let registry = LocalBookieRegistry()
      var bookies: [Bookie] = []
      for index in 0..<count {
        let bookie = try await Bookie.start(
          configuration: BookieConfiguration(
            bookieID: "bookie-\(index + 1)", directory: directory.file("bookie-\(index + 1)")),
          metadata: metadata, group: group, logger: logger)
        registry.register(bookie)
        bookies.append(bookie)
      }
      var configuration = LedgerClientConfiguration()
      configuration.localBookies = registry
      let ledgers = LedgerClient(metadata: metadata, group: group, configuration: configuration, logger: logger)
      var adminConfiguration = AdminServerConfiguration()
      adminConfiguration.port = 0
      let server = try await BookieAdminServer.start(
        configuration: adminConfiguration,
        sources: BookieAdminSources(bookies: bookies, ledgers: ledgers, settings: ["clusterName": "us"]), group: group,
        logger: logger)
      let client = try AdminClient(url: "http://127.0.0.1:\(server.port)", timeout: .seconds(20))
      let outcome: Result<Void, any Error>
      do {
        try await body(
          BookieAdminFixture(client: client, bookies: bookies, ledgers: ledgers, metadata: metadata))
        outcome = .success(())
      } catch {
        outcome = .failure(error)
      }
      client.close()
      await server.shutdown()
      try await ledgers.shutdown()
      for bookie in bookies { try await bookie.shutdown() }
      try await metadata.close()
      try outcome.get()
    }
  }

  /// Sends a request; returns its status and its body, or the reason of a refusal.
  func call(_ method: String, _ target: String, _ body: String? = nil) async throws -> (status: Int, text: String) {
    let parts = target.split(separator: "?", maxSplits: 1)
    var query: [String: String] = [:]
    for pair in (parts.count > 1 ? parts[1] : "").split(separator: "&") {
      let halves = pair.split(separator: "=", maxSplits: 1)
      query[String(halves[0])] = halves.count > 1 ? String(halves[1]) : ""
    }
    do {
      let answer = try await client.send(method, String(parts[0]), query: query, body: body.map { Array($0.utf8) })
      return (answer.status, String(decoding: answer.body, as: UTF8.self))
    } catch let error {
      guard case .refused(let status, let reason, _) = error else { throw error }
      return (status, reason)
    }
  }

  func get(_ target: String) async throws -> String { try await call("GET", target).text }

  /// Appends one entry, and waits until it is acknowledged.
  static func append(_ entry: String, to ledger: WritableLedger) async throws {
    let loop = ledger.eventLoop
    _ = try await loop.flatSubmit {
      let promise = loop.makePromise(of: EntryID.self)
      ledger.append(ByteBuffer(string: entry), ByteBuffer()) {
        promise.completeWith($0.mapError { $0 as any Error })
      }
      return promise.futureResult
    }.get()
  }

  /// A ledger with `entries`, closed if wanted. Returns its id.
  func ledger(_ entries: [String], copies: Int = 1, closes: Bool = true) async throws -> LedgerID {
    let loop = MultiThreadedEventLoopGroup.singleton.next()
    let options = LedgerOptions(ensembleSize: copies, writeQuorumSize: copies, ackQuorumSize: copies)
    let ledger = try await ledgers.createLedger(options, on: loop)
    for entry in entries { try await Self.append(entry, to: ledger) }
    if closes { _ = try await ledger.close() }
    return ledger.id
  }
}

import BookieWire
import Foundation
import Logging
import MetadataStore
import NIOCore
import NIOPosix
import TestSupport
import Testing

@testable import Bookie

/// A bookie with real files in a temporary directory, and helpers to talk to it within the process.
final class BookieHarness: Sendable {
  static let key = LedgerMasterKey(password: [])
  static let codec = LedgerEntryCodec(digest: .crc32c)

  let directory: TemporaryDirectory
  let metadata: any MetadataStore
  let configuration: BookieConfiguration

  init(_ directory: TemporaryDirectory, _ adjust: (inout BookieConfiguration) -> Void = { _ in }) async throws {
    self.directory = directory
    metadata = try await RocksDBStore.open(path: directory.file("metadata"))
    var configuration = BookieConfiguration(bookieID: "b1", directory: directory.file("b1"))
    configuration.journalPreallocation = 64 * 1024
    configuration.failureAction = { Issue.record("The bookie gave up: \($0)") }
    adjust(&configuration)
    self.configuration = configuration
  }

  /// Runs `body` with a harness whose files are removed afterwards.
  static func with(
    _ adjust: (inout BookieConfiguration) -> Void = { _ in }, _ body: (BookieHarness) async throws -> Void
  ) async throws {
    try await TemporaryDirectory.with { directory in
      let harness = try await BookieHarness(directory, adjust)
      do {
        try await body(harness)
      } catch {
        try? await harness.metadata.close()
        throw error
      }
      try await harness.metadata.close()
    }
  }

  func start(_ adjust: (inout BookieConfiguration) -> Void = { _ in }) async throws -> Bookie {
    var configuration = configuration
    adjust(&configuration)
    return try await Bookie.start(
      configuration: configuration, metadata: metadata, group: MultiThreadedEventLoopGroup.singleton,
      logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
  }

  /// Entry `entryID` of `ledgerID` with `payload`.
  static func entry(_ ledgerID: Int64, _ entryID: Int64, _ payload: ByteBuffer) -> EntryBytes {
    codec.encode(
      LedgerEntryHeader(
        ledgerID: ledgerID, entryID: entryID, lastAddConfirmed: entryID - 1, length: entryID), payload)
  }

  static func add(
    _ ledgerID: Int64, _ entryID: Int64, _ payload: ByteBuffer, id: UInt64, flags: BookieRequestFlags = [],
    key: LedgerMasterKey = BookieHarness.key
  ) -> BookieRequest {
    .add(
      AddRequest(
        requestID: id, flags: flags, masterKey: key, ledgerID: ledgerID, entryID: entryID,
        entry: entry(ledgerID, entryID, payload)))
  }
}

/// A client in the same process, with async calls.
final class LocalClient: @unchecked Sendable {
  private let loop: any EventLoop
  private var connection: (any LocalBookieConnection)?
  private var nextID: UInt64 = 1
  private var waiting: [UInt64: EventLoopPromise<BookieResponse>] = [:]

  private init(_ loop: any EventLoop) { self.loop = loop }

  static func connect(_ bookie: Bookie) async throws -> LocalClient {
    let loop = MultiThreadedEventLoopGroup.singleton.next()
    return try await loop.submit {
      let client = LocalClient(loop)
      client.connection = bookie.connect(
        on: loop, onResponses: { client.receive($0) },
        onClose: {
          for promise in client.waiting.values { promise.fail(BookieError.closed) }
          client.waiting = [:]
          client.connection = nil
        })
      return client
    }.get()
  }

  private func receive(_ responses: [BookieResponse]) {
    for response in responses {
      let id: UInt64?
      switch response {
      case .add(let add): id = add.requestID
      case .read(let read): id = read.requestID
      case .batchRead(let read): id = read.requestID
      case .auth: id = nil
      }
      if let id { waiting.removeValue(forKey: id)?.succeed(response) }
    }
  }

  /// Submits requests as one batch, and returns their answers in order.
  func call(_ make: @escaping @Sendable (_ nextID: () -> UInt64) -> [BookieRequest]) async throws -> [BookieResponse] {
    try await loop.flatSubmit { () -> EventLoopFuture<[BookieResponse]> in
      guard let connection = self.connection else { return self.loop.makeFailedFuture(BookieError.closed) }
      let first = self.nextID
      let requests = make {
        defer { self.nextID += 1 }
        return self.nextID
      }
      let futures = (first..<self.nextID).map { id in
        let promise = self.loop.makePromise(of: BookieResponse.self)
        self.waiting[id] = promise
        return promise.futureResult
      }
      connection.submit(requests)
      return EventLoopFuture.whenAllSucceed(futures, on: self.loop)
    }.get()
  }

  @discardableResult
  func add(
    _ ledgerID: Int64, _ entryIDs: ClosedRange<Int64>, payload: ByteBuffer = ByteBuffer(string: "payload"),
    flags: BookieRequestFlags = [], key: LedgerMasterKey = BookieHarness.key
  ) async throws -> [BookieReturnCode] {
    try await call { id in
      entryIDs.map { BookieHarness.add(ledgerID, $0, payload, id: id(), flags: flags, key: key) }
    }.map { response in
      guard case .add(let add) = response else { return .badRequest }
      return add.code
    }
  }

  func read(
    _ ledgerID: Int64, _ entryID: Int64, flags: BookieRequestFlags = [], key: LedgerMasterKey? = nil
  ) async throws -> ReadResponse {
    let responses = try await call { id in
      [
        .read(
          ReadRequest(requestID: id(), flags: flags, ledgerID: ledgerID, entryID: entryID, masterKey: key))
      ]
    }
    guard case .read(let read)? = responses.first else { throw BookieError.closed }
    return read
  }

  func batchRead(_ ledgerID: Int64, from: Int64, count: Int32, size: Int64 = 0) async throws -> BatchReadResponse {
    let responses = try await call { id in
      [
        .batchRead(
          BatchReadRequest(
            requestID: id(), ledgerID: ledgerID, startEntryID: from, maxCount: count, maxSize: size))
      ]
    }
    guard case .batchRead(let read)? = responses.first else { throw BookieError.closed }
    return read
  }

  /// Whether the entry is there, whole, with this payload.
  func has(_ ledgerID: Int64, _ entryID: Int64, payload: ByteBuffer = ByteBuffer(string: "payload")) async throws
    -> Bool
  {
    let read = try await read(ledgerID, entryID)
    guard read.code == .ok, let entry = read.entry else { return false }
    return try BookieHarness.codec.decode(entry, ledgerID: ledgerID, entryID: entryID).payload == payload
  }
}

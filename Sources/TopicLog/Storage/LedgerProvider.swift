import Ledgers
import NIOCore

/// Where a log gets its ledgers from.
///
/// `LedgerClient` in the product. Tests put ledgers here that fail at will. Only opening and closing go through the
/// protocol; entries go straight to the handles.
protocol LedgerProvider: Sendable {
  func create(_ options: LedgerOptions, on loop: any EventLoop) async throws -> SegmentWriter
  /// Fences, recovers and closes the ledger unless it is closed.
  func recover(_ id: Int64, on loop: any EventLoop) async throws -> SegmentReader
  /// Opens a closed ledger.
  func open(_ id: Int64, on loop: any EventLoop) async throws -> SegmentReader
  /// Succeeds if the ledger does not exist.
  func delete(_ id: Int64) async throws
}

/// A ledger that is written. Confined to its loop, but for `close`.
class SegmentWriter: @unchecked Sendable {
  let id: Int64

  init(id: Int64) {
    self.id = id
  }

  func append(
    _ header: ByteBuffer, _ body: ByteBuffer, completion: @escaping (Result<Int64, LedgerError>) -> Void
  ) { completion(.failure(.closed(id))) }

  func read(
    from: Int64, through: Int64, maxBytes: Int, completion: @escaping (Result<[LedgerEntry], LedgerError>) -> Void
  ) { completion(.failure(.closed(id))) }

  func close() async throws -> (lastEntry: Int64, length: Int64) { throw LedgerError.closed(id) }
}

/// A closed ledger that is read. Confined to its loop.
class SegmentReader: @unchecked Sendable {
  let id: Int64
  let lastEntry: Int64
  let length: Int64

  init(id: Int64, lastEntry: Int64, length: Int64) {
    self.id = id
    self.lastEntry = lastEntry
    self.length = length
  }

  func read(
    from: Int64, through: Int64, maxBytes: Int, completion: @escaping (Result<[LedgerEntry], LedgerError>) -> Void
  ) { completion(.failure(.closed(id))) }

  func close() {}
}

/// The region's bookies.
struct BookieLedgerProvider: LedgerProvider {
  let client: LedgerClient

  func create(_ options: LedgerOptions, on loop: any EventLoop) async throws -> SegmentWriter {
    Writer(try await client.createLedger(options, on: loop))
  }

  func recover(_ id: Int64, on loop: any EventLoop) async throws -> SegmentReader {
    Reader(try await client.openLedger(id, on: loop))
  }

  func open(_ id: Int64, on loop: any EventLoop) async throws -> SegmentReader {
    Reader(try await client.openLedgerWithoutRecovery(id, on: loop))
  }

  func delete(_ id: Int64) async throws {
    do {
      try await client.deleteLedger(id)
    } catch LedgerError.noSuchLedger {
      return
    }
  }

  private final class Writer: SegmentWriter, @unchecked Sendable {
    private let ledger: WritableLedger

    init(_ ledger: WritableLedger) {
      self.ledger = ledger
      super.init(id: ledger.id)
    }

    override func append(
      _ header: ByteBuffer, _ body: ByteBuffer, completion: @escaping (Result<Int64, LedgerError>) -> Void
    ) {
      ledger.append(header, body, completion: completion)
    }

    override func read(
      from: Int64, through: Int64, maxBytes: Int,
      completion: @escaping (Result<[LedgerEntry], LedgerError>) -> Void
    ) {
      ledger.read(from: from, through: through, maxBytes: maxBytes, completion: completion)
    }

    override func close() async throws -> (lastEntry: Int64, length: Int64) { try await ledger.close() }
  }

  private final class Reader: SegmentReader, @unchecked Sendable {
    private let ledger: ReadableLedger

    init(_ ledger: ReadableLedger) {
      self.ledger = ledger
      super.init(id: ledger.id, lastEntry: ledger.lastEntry, length: ledger.length)
    }

    override func read(
      from: Int64, through: Int64, maxBytes: Int,
      completion: @escaping (Result<[LedgerEntry], LedgerError>) -> Void
    ) {
      ledger.read(from: from, through: through, maxBytes: maxBytes, completion: completion)
    }

    override func close() { ledger.close() }
  }
}

import Ledgers
import NIOConcurrencyHelpers
import NIOCore

@testable import TopicLog

/// Ledgers in memory, for tests of what stands on a topic's log.
final class MemoryLedgers: LedgerProvider {
  private struct State {
    var entries: [Int64: [ByteBuffer]] = [:]
    var nextID: Int64 = 1
    var readsThatFail = 0
  }

  private let state = NIOLockedValueBox(State())

  /// The next `count` reads that reach a ledger fail.
  func failReads(_ count: Int) { state.withLockedValue { $0.readsThatFail = count } }

  var failuresLeft: Int { state.withLockedValue { $0.readsThatFail } }

  func create(_ options: LedgerOptions, on loop: any EventLoop) async throws -> SegmentWriter {
    let id = state.withLockedValue { state in
      defer { state.nextID += 1 }
      state.entries[state.nextID] = []
      return state.nextID
    }
    return Writer(id: id, ledgers: self, loop: loop)
  }

  func recover(_ id: Int64, on loop: any EventLoop) async throws -> SegmentReader { try await open(id, on: loop) }

  func open(_ id: Int64, on loop: any EventLoop) async throws -> SegmentReader {
    guard let entries = state.withLockedValue({ $0.entries[id] }) else { throw LedgerError.noSuchLedger(id) }
    return Reader(
      id: id, lastEntry: Int64(entries.count - 1),
      length: entries.reduce(0) { $0 + Int64($1.readableBytes) }, ledgers: self, loop: loop)
  }

  func delete(_ id: Int64) async throws { state.withLockedValue { $0.entries[id] = nil } }

  private func append(_ id: Int64, _ payload: ByteBuffer) -> Result<Int64, LedgerError> {
    state.withLockedValue { state in
      guard let count = state.entries[id]?.count else { return .failure(.noSuchLedger(id)) }
      state.entries[id]?.append(payload)
      return .success(Int64(count))
    }
  }

  private func read(_ id: Int64, _ range: ClosedRange<Int64>, _ maxBytes: Int) -> Result<[LedgerEntry], LedgerError> {
    state.withLockedValue { state in
      if state.readsThatFail > 0 {
        state.readsThatFail -= 1
        return .failure(.dataUnavailable("injected"))
      }
      guard let entries = state.entries[id], range.lowerBound >= 0, range.upperBound < entries.count else {
        return .failure(.noSuchEntry(id, range.upperBound))
      }
      var found: [LedgerEntry] = []
      var bytes = 0
      for entry in range {
        let payload = entries[Int(entry)]
        bytes += payload.readableBytes
        if !found.isEmpty, bytes > maxBytes { break }
        found.append(
          LedgerEntry(ledgerID: id, entryID: entry, cumulativeLength: (entry + 1) * 100, payload: payload))
      }
      return .success(found)
    }
  }

  private final class Writer: SegmentWriter, @unchecked Sendable {
    private let ledgers: MemoryLedgers
    private let loop: any EventLoop

    init(id: Int64, ledgers: MemoryLedgers, loop: any EventLoop) {
      self.ledgers = ledgers
      self.loop = loop
      super.init(id: id)
    }

    override func append(
      _ header: ByteBuffer, _ body: ByteBuffer, completion: @escaping (Result<Int64, LedgerError>) -> Void
    ) {
      var payload = header
      payload.writeImmutableBuffer(body)
      let result = ledgers.append(id, payload)
      loop.assumeIsolated().execute { completion(result) }
    }

    override func read(
      from: Int64, through: Int64, maxBytes: Int, completion: @escaping (Result<[LedgerEntry], LedgerError>) -> Void
    ) {
      let result = ledgers.read(id, from...through, maxBytes)
      loop.assumeIsolated().execute { completion(result) }
    }

    override func close() async throws -> (lastEntry: Int64, length: Int64) {
      let reader = try await ledgers.open(id, on: loop)
      return (reader.lastEntry, reader.length)
    }
  }

  private final class Reader: SegmentReader, @unchecked Sendable {
    private let ledgers: MemoryLedgers
    private let loop: any EventLoop

    init(id: Int64, lastEntry: Int64, length: Int64, ledgers: MemoryLedgers, loop: any EventLoop) {
      self.ledgers = ledgers
      self.loop = loop
      super.init(id: id, lastEntry: lastEntry, length: length)
    }

    override func read(
      from: Int64, through: Int64, maxBytes: Int, completion: @escaping (Result<[LedgerEntry], LedgerError>) -> Void
    ) {
      let result = ledgers.read(id, from...through, maxBytes)
      loop.assumeIsolated().execute { completion(result) }
    }
  }
}

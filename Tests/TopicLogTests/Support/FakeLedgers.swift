import Ledgers
import NIOConcurrencyHelpers
import NIOCore

@testable import TopicLog

/// Ledgers in memory that fail on demand, shared by all "brokers" of a test.
final class FakeLedgers: LedgerProvider {
  struct Ledger {
    var entries: [ByteBuffer] = []
    /// Entries that a close by the writer counts.
    var acknowledged = 0
    var isFenced = false
    var isClosed = false
    var isBroken = false
  }

  struct State {
    var ledgers: [Int64: Ledger] = [:]
    var nextID: Int64 = 1
    var creationsThatFail = 0
    var closesThatFail = 0
    var recoveriesThatFail = 0
    /// After so many more appends the ledger that gets the next one fails.
    var appendsUntilFailure: Int?
    /// The append that fails, and so many behind it, are stored nevertheless and found by a recovery.
    var storedWithoutAnswer = 0
    var ledgersThatFail = 1
    var reads = 0
  }

  let state = NIOLockedValueBox(State())

  var existing: [Int64] { state.withLockedValue { $0.ledgers.keys.sorted() } }

  func create(_ options: LedgerOptions, on loop: any EventLoop) async throws -> SegmentWriter {
    let id = try state.withLockedValue { state in
      if state.creationsThatFail > 0 {
        state.creationsThatFail -= 1
        throw LedgerError.notEnoughBookies(needed: 3, available: 1)
      }
      defer { state.nextID += 1 }
      state.ledgers[state.nextID] = Ledger()
      return state.nextID
    }
    return Writer(id: id, ledgers: self, loop: loop)
  }

  func recover(_ id: Int64, on loop: any EventLoop) async throws -> SegmentReader {
    try state.withLockedValue { state in
      if state.recoveriesThatFail > 0 {
        state.recoveriesThatFail -= 1
        throw LedgerError.dataUnavailable("injected")
      }
      guard state.ledgers[id] != nil else { throw LedgerError.noSuchLedger(id) }
      state.ledgers[id]?.isFenced = true
      state.ledgers[id]?.isClosed = true
    }
    return try await open(id, on: loop)
  }

  func open(_ id: Int64, on loop: any EventLoop) async throws -> SegmentReader {
    let ledger = state.withLockedValue { $0.ledgers[id] }
    guard let ledger else { throw LedgerError.noSuchLedger(id) }
    return Reader(
      id: id, lastEntry: Int64(ledger.entries.count - 1),
      length: ledger.entries.reduce(0) { $0 + Int64($1.readableBytes) }, ledgers: self, loop: loop)
  }

  func delete(_ id: Int64) async throws {
    state.withLockedValue { $0.ledgers[id] = nil }
  }

  func read(_ id: Int64, _ from: Int64, _ through: Int64, _ maxBytes: Int) -> Result<[LedgerEntry], LedgerError> {
    state.withLockedValue { state in
      state.reads += 1
      guard let ledger = state.ledgers[id] else { return .failure(.noSuchLedger(id)) }
      guard from >= 0, through < ledger.entries.count, from <= through else {
        return .failure(.noSuchEntry(id, through))
      }
      var result: [LedgerEntry] = []
      var bytes = 0
      var length = ledger.entries[..<Int(from)].reduce(0) { $0 + Int64($1.readableBytes) }
      for entry in from...through {
        let payload = ledger.entries[Int(entry)]
        bytes += payload.readableBytes
        length += Int64(payload.readableBytes)
        if !result.isEmpty, bytes > maxBytes { break }
        result.append(LedgerEntry(ledgerID: id, entryID: entry, cumulativeLength: length, payload: payload))
      }
      return .success(result)
    }
  }

  private final class Writer: SegmentWriter, @unchecked Sendable {
    let ledgers: FakeLedgers
    let loop: any EventLoop

    init(id: Int64, ledgers: FakeLedgers, loop: any EventLoop) {
      self.ledgers = ledgers
      self.loop = loop
      super.init(id: id)
    }

    override func append(
      _ header: ByteBuffer, _ body: ByteBuffer, completion: @escaping (Result<Int64, LedgerError>) -> Void
    ) {
      var payload = header
      payload.writeImmutableBuffer(body)
      let result: Result<Int64, LedgerError> = ledgers.state.withLockedValue { state in
        // Taken out, so that it is changed in place.
        guard var ledger = state.ledgers.removeValue(forKey: id) else { return .failure(.noSuchLedger(id)) }
        defer { state.ledgers[id] = ledger }
        if ledger.isFenced { return .failure(.fenced(id)) }
        if ledger.isClosed { return .failure(.closed(id)) }
        if !ledger.isBroken, let left = state.appendsUntilFailure {
          state.appendsUntilFailure = left - 1
          if left <= 0 {
            ledger.isBroken = true
            state.ledgersThatFail -= 1
            state.appendsUntilFailure = state.ledgersThatFail > 0 ? 0 : nil
          }
        }
        if ledger.isBroken {
          if state.storedWithoutAnswer > 0 {
            state.storedWithoutAnswer -= 1
            ledger.entries.append(payload)
          }
          return .failure(.notEnoughBookies(needed: 2, available: 1))
        }
        ledger.entries.append(payload)
        ledger.acknowledged = ledger.entries.count
        return .success(Int64(ledger.entries.count - 1))
      }
      loop.assumeIsolated().execute { completion(result) }
    }

    override func read(
      from: Int64, through: Int64, maxBytes: Int, completion: @escaping (Result<[LedgerEntry], LedgerError>) -> Void
    ) {
      let result = ledgers.read(id, from, through, maxBytes)
      loop.assumeIsolated().execute { completion(result) }
    }

    override func close() async throws -> (lastEntry: Int64, length: Int64) {
      try ledgers.state.withLockedValue { state in
        if state.closesThatFail > 0 {
          state.closesThatFail -= 1
          throw LedgerError.metadata("injected")
        }
        guard var ledger = state.ledgers[id] else { throw LedgerError.noSuchLedger(id) }
        if ledger.isFenced { throw LedgerError.fenced(id) }
        ledger.entries.removeLast(ledger.entries.count - ledger.acknowledged)
        ledger.isClosed = true
        state.ledgers[id] = ledger
        return (Int64(ledger.entries.count - 1), ledger.entries.reduce(0) { $0 + Int64($1.readableBytes) })
      }
    }
  }

  private final class Reader: SegmentReader, @unchecked Sendable {
    let ledgers: FakeLedgers
    let loop: any EventLoop

    init(id: Int64, lastEntry: Int64, length: Int64, ledgers: FakeLedgers, loop: any EventLoop) {
      self.ledgers = ledgers
      self.loop = loop
      super.init(id: id, lastEntry: lastEntry, length: length)
    }

    override func read(
      from: Int64, through: Int64, maxBytes: Int, completion: @escaping (Result<[LedgerEntry], LedgerError>) -> Void
    ) {
      let result = ledgers.read(id, from, through, maxBytes)
      loop.assumeIsolated().execute { completion(result) }
    }
  }
}

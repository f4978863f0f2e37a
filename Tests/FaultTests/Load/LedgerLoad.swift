import Ledgers
import Logging
import MetadataStore
import NIOConcurrencyHelpers
import NIOCore
import NIOPosix

/// Writers, racing recoverers and verifiers, all through the real client.
final class LedgerLoad: Sendable {
  let book = LedgerBook()
  private let client: LedgerClient
  /// What another process would have: its own connections and its own view of the bookies.
  private let rival: LedgerClient
  private let group: MultiThreadedEventLoopGroup
  private let isStopping = NIOLockedValueBox(false)
  /// Acknowledged bytes that are kept; beyond them the oldest closed ledgers are verified and deleted.
  private let retainedBytes: Int

  init(metadata: any MetadataStore, rivalMetadata: any MetadataStore, retainedBytes: Int) {
    self.retainedBytes = retainedBytes
    group = MultiThreadedEventLoopGroup(numberOfThreads: 2)
    var configuration = LedgerClientConfiguration()
    configuration.addEntryTimeout = .seconds(2)
    configuration.addEntryQuorumTimeout = .seconds(15)
    configuration.readEntryTimeout = .seconds(2)
    configuration.connectTimeout = .seconds(2)
    configuration.maximumReconnectDelay = .seconds(1)
    configuration.ensembleChangeRetryDelay = .milliseconds(500)
    configuration.bookieFailureHistoryExpiration = .seconds(3)
    configuration.bookieQuarantineTime = .seconds(5)
    var logger = Logger(label: "load")
    logger.logLevel = .critical
    client = LedgerClient(metadata: metadata, group: group, configuration: configuration, logger: logger)
    rival = LedgerClient(metadata: rivalMetadata, group: group, configuration: configuration, logger: logger)
  }

  /// Writes until `stop`; returns when every writer has let go of its ledger.
  func run(writers: Int, seed: UInt64) async {
    await withTaskGroup(of: Void.self) { tasks in
      for writer in 0..<writers {
        tasks.addTask {
          var random = SeededRandom(seed &+ UInt64(writer) &* 7919)
          while !self.isStopping.withLockedValue({ $0 }) {
            await self.writeOne(&random)
          }
        }
      }
      tasks.addTask { await self.trim() }
      await tasks.waitForAll()
    }
  }

  func stop() { isStopping.withLockedValue { $0 = true } }

  func shutdown() async throws {
    try await client.shutdown()
    try await rival.shutdown()
    try await group.shutdownGracefully()
  }

  // MARK: Writing

  private func writeOne(_ random: inout SeededRandom) async {
    let options = LedgerOptions(ensembleSize: 3 + random.below(3), writeQuorumSize: 3, ackQuorumSize: 2)
    let loop = group.next()
    let ledger: WritableLedger
    do {
      ledger = try await client.createLedger(options, on: loop)
    } catch {
      // Too few bookies, or no metadata store, for the moment.
      try? await Task.sleep(for: .milliseconds(100))
      return
    }
    book.begin(ledger.id)
    let isRaced = random.below(6) == 0
    let isAbandoned = random.below(4) == 0
    let batches = 4 + random.below(40)
    let racing = isRaced ? Task { await self.race(ledger.id, after: .milliseconds(100)) } : nil
    for _ in 0..<batches {
      if isStopping.withLockedValue({ $0 }) { break }
      if await !writeBatch(ledger, count: 1 + random.below(48)) { break }
      try? await Task.sleep(for: .milliseconds(10 + random.below(60)))
    }
    await racing?.value
    if !isAbandoned {
      do {
        let (last, _) = try await ledger.close()
        book.update(ledger.id) { $0.closedAt = last }
      } catch LedgerError.fenced {
        book.noteFenced()
      } catch {
        book.noteFailed()
      }
    }
    book.update(ledger.id) { $0.isDone = true }
  }

  /// - Returns: false when the ledger takes no more.
  private func writeBatch(_ ledger: WritableLedger, count: Int) async -> Bool {
    let book = book
    let finished = try? await ledger.eventLoop.flatSubmit { () -> EventLoopFuture<Bool> in
      let promise = ledger.eventLoop.makePromise(of: Bool.self)
      let outcome = Outcome(remaining: count)
      for _ in 0..<count {
        let entry = ledger.lastAddPushed + 1
        let content = EntryContent.make(ledger: ledger.id, entry: entry)
        let size = content.readableBytes
        if ledger.failure == nil { book.update(ledger.id) { $0.pushed = max($0.pushed, entry + 1) } }
        ledger.append(ByteBuffer(), content) { result in
          if case .success(let confirmed) = result {
            book.update(ledger.id) {
              $0.acknowledged = max($0.acknowledged, confirmed + 1)
              $0.bytes += size
            }
          } else {
            outcome.isGood = false
          }
          outcome.remaining -= 1
          if outcome.remaining == 0 { promise.succeed(outcome.isGood) }
        }
      }
      // An ack quorum may be away for long; then the ledger is left as a broker that dies leaves it.
      let timeout = ledger.eventLoop.scheduleTask(in: .seconds(20)) { promise.succeed(false) }
      return promise.futureResult.always { _ in timeout.cancel() }
    }.get()
    return finished ?? false
  }

  private final class Outcome {
    var remaining: Int
    var isGood = true

    init(remaining: Int) {
      self.remaining = remaining
    }
  }

  /// Takes the ledger over while it is written, as a second broker does.
  private func race(_ id: Int64, after delay: Duration) async {
    try? await Task.sleep(for: delay)
    let before = book.record(id)?.acknowledged ?? 0
    guard let opened = try? await rival.openLedger(id, on: group.next()) else { return }
    if opened.lastEntry + 1 < before {
      book.note(
        violation: "ledger \(id) was recovered up to \(opened.lastEntry) when \(before) entries were acknowledged")
    }
  }

  // MARK: Verifying

  /// Verifies and deletes the oldest ledgers when there are too many.
  private func trim() async {
    while !isStopping.withLockedValue({ $0 }) {
      try? await Task.sleep(for: .milliseconds(300))
      var bytes = book.records.reduce(0) { $0 + $1.bytes }
      for record in book.records where bytes > retainedBytes && record.isDone {
        if isStopping.withLockedValue({ $0 }) { return }
        guard await verify(record.id, within: .seconds(10)) == nil else { continue }
        guard (try? await client.deleteLedger(record.id)) != nil else { continue }
        book.remove(record.id)
        bytes -= record.bytes
      }
    }
  }

  /// Closes the ledger if need be, reads all of it and compares it with what its writer was told.
  /// - Returns: why it could not be read for now; nil: it was. What is wrong is noted in the book.
  func verify(_ id: Int64, within limit: Duration) async -> String? {
    let deadline = ContinuousClock.now + limit
    var reason = "nothing was tried"
    repeat {
      do {
        try await verify(id)
        return nil
      } catch {
        reason = "\(error)"
        try? await Task.sleep(for: .milliseconds(200))
      }
    } while ContinuousClock.now < deadline
    return reason
  }

  private func verify(_ id: Int64) async throws {
    let loop = group.next()
    let ledger = try await rival.openLedger(id, on: loop)
    guard let record = book.record(id) else { return }
    if ledger.lastEntry + 1 < record.acknowledged {
      book.note(
        violation: "ledger \(id) ends at \(ledger.lastEntry), and \(record.acknowledged) entries were acknowledged")
    }
    if ledger.lastEntry + 1 > record.pushed {
      book.note(violation: "ledger \(id) ends at \(ledger.lastEntry), and only \(record.pushed) entries were written")
    }
    if let closedAt = record.closedAt, closedAt != ledger.lastEntry {
      book.note(violation: "ledger \(id) was closed at \(closedAt) and ends at \(ledger.lastEntry)")
    }
    var next: Int64 = 0
    while next <= ledger.lastEntry {
      let from = next
      let entries = try await loop.flatSubmit { () -> EventLoopFuture<[LedgerEntry]> in
        let promise = loop.makePromise(of: [LedgerEntry].self)
        ledger.read(from: from, through: ledger.lastEntry, maxBytes: 1 << 20) {
          promise.completeWith($0.mapError { $0 as any Error })
        }
        return promise.futureResult
      }.get()
      guard let last = entries.last, entries.first?.entryID == next else {
        return book.note(violation: "ledger \(id): entries from \(next) were asked for, and others came")
      }
      for entry in entries where entry.payload != EntryContent.make(ledger: id, entry: entry.entryID) {
        book.note(violation: "ledger \(id): entry \(entry.entryID) is not what was written")
      }
      next = last.entryID + 1
    }
    book.update(id) { $0.readBack = ledger.lastEntry + 1 }
  }

  /// Compares every copy of every entry that a bookie has, byte for byte.
  func compareCopies(_ id: Int64) async throws -> CopyCount {
    try await CopyComparison(client: rival, loop: group.next(), book: book).run(id)
  }

  /// Whether every ledger's metadata can be read and names no bookies but these.
  func ledgersName(only bookies: Set<String>) async -> Bool {
    var after: LedgerID?
    repeat {
      guard let page = try? await LedgerOperator(client: rival).list(after: after) else { return false }
      for ledger in page.ledgers {
        guard ledger.problem == nil, ledger.segments.allSatisfy({ bookies.isSuperset(of: $0.ensemble) }) else {
          return false
        }
      }
      after = page.next
    } while after != nil
    return true
  }

  /// The bookies that are registered and take entries.
  func writableBookies() async -> Int {
    (try? await rival.availableBookies().filter { !$0.isReadOnly }.count) ?? 0
  }
}

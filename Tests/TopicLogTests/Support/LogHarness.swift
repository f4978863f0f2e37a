import Logging
import NIOCore
import NIOPosix

@testable import TopicLog

/// Calls into logs from tests.
extension TopicLog {
  /// Runs `body` on the log's loop.
  func on<T: Sendable>(_ body: @escaping @Sendable () throws -> T) async throws -> T {
    try await eventLoop.submit(body).get()
  }

  /// Appends one entry and waits for it.
  func append(_ text: String) async throws -> Position {
    try await executor.run {
      try await withCheckedThrowingContinuation { continuation in
        self.append(ByteBuffer(string: "h:"), ByteBuffer(string: text)) {
          continuation.resume(with: $0.mapError { $0 as any Error })
        }
      }
    }
  }

  /// Appends all at once; the results are in order.
  func append(all texts: [String]) async throws -> [Result<Position, TopicLogError>] {
    try await executor.run {
      await withCheckedContinuation { continuation in
        nonisolated(unsafe) var results: [Result<Position, TopicLogError>] = []
        for text in texts {
          self.append(ByteBuffer(string: "h:"), ByteBuffer(string: text)) {
            results.append($0)
            if results.count == texts.count { continuation.resume(returning: results) }
          }
        }
      }
    }
  }

  func read(from: Position, maxEntries: Int = 100, maxBytes: Int = .max) async throws -> [LogEntry] {
    try await executor.run {
      try await withCheckedThrowingContinuation { continuation in
        self.read(from: from, maxEntries: maxEntries, maxBytes: maxBytes) {
          continuation.resume(with: $0.mapError { $0 as any Error })
        }
      }
    }
  }

  /// Everything in the log, as text without the header.
  func readAll(from: Position = .earliest, step: Int = 7) async throws -> [String] {
    var texts: [String] = []
    var next = from
    while true {
      let entries = try await read(from: next, maxEntries: step)
      guard let last = entries.last else { return texts }
      texts += entries.map { String(String(buffer: $0.payload).dropFirst(2)) }
      let position = last.position
      next = try await on { self.position(after: position) }
    }
  }
}

extension TopicLog {
  /// Opens a log over fake ledgers, quick in everything.
  static func fake(
    _ ledgers: FakeLedgers, _ metadata: MemoryMetadata, name: String = "public/default/persistent/t",
    cache: EntryCacheBudget = EntryCacheBudget(limit: 1 << 20),
    _ configure: (inout TopicLogConfiguration) -> Void = { _ in }
  ) async throws -> TopicLog {
    var configuration = TopicLogConfiguration()
    configuration.minimumRolloverTime = .zero
    configuration.retentionTime = nil
    configuration.retentionSize = nil
    configuration.ledgerReplacementBackoff = .milliseconds(1)
    configuration.markDeleteInterval = .milliseconds(20)
    configuration.cacheEvictionTime = .milliseconds(100)
    configure(&configuration)
    return try await TopicLog.open(
      name: name, provider: ledgers, metadata: metadata, configuration: configuration, cache: cache,
      on: MultiThreadedEventLoopGroup.singleton.next(), logger: quiet)
  }
}

/// A logger that says nothing.
let quiet = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }

/// A generator of random numbers that gives the same ones for the same seed.
struct SeededGenerator: RandomNumberGenerator {
  private var state: UInt64

  init(seed: UInt64) {
    state = seed &* 0x9E37_79B9_7F4A_7C15 | 1
  }

  mutating func next() -> UInt64 {
    state ^= state >> 12
    state ^= state << 25
    state ^= state >> 27
    return state &* 0x2545_F491_4F6C_DD1D
  }
}

import Foundation
import Logging
import MetadataStore
import NIOConcurrencyHelpers
import NIOCore

/// Which bookies are registered, where they listen, and which failed of late. Shared by all loops of a client.
final class BookieDirectory: Sendable {
  private static let prefix = "/bookies/available/"

  private struct Address: Decodable {
    var host: String
    var port: Int
    var networkLocation: String?
  }

  private struct State {
    var available: [String: BookieInfo] = [:]
    var failures: [String: NIODeadline] = [:]
    var watcher: Task<Void, Never>?
    var isShutDown = false
  }

  private let metadata: any MetadataStore
  private let failureMemory: TimeAmount
  private let logger: Logger
  private let state = NIOLockedValueBox(State())

  init(metadata: any MetadataStore, failureMemory: TimeAmount, logger: Logger) {
    self.metadata = metadata
    self.failureMemory = failureMemory
    self.logger = logger
  }

  /// The registered bookies as last seen.
  var available: [BookieInfo] { state.withLockedValue { Array($0.available.values) } }

  /// Bookies that failed within the memory of failures.
  var suspects: Set<String> {
    let now = NIODeadline.now()
    return state.withLockedValue { state in
      if state.failures.isEmpty { return [] }
      state.failures = state.failures.filter { $0.value > now }
      return Set(state.failures.keys)
    }
  }

  /// Remembers that the bookie failed.
  func noteFailure(of bookie: String) {
    state.withLockedValue { $0.failures[bookie] = .now() + failureMemory }
  }

  /// The bookie did what it was asked.
  func noteSuccess(of bookie: String) {
    state.withLockedValue { $0.failures[bookie] = nil }
  }

  /// Reads the registrations and, the first time, begins to watch them.
  func refresh() async throws(LedgerError) {
    do {
      if state.withLockedValue({ $0.watcher == nil && !$0.isShutDown }) {
        let events = try await metadata.watch(prefix: Self.prefix)
        let watcher = Task { [weak self] in
          for await _ in events {
            guard let self else { return }
            do { try await self.readAll() } catch {
              self.logger.warning("The list of bookies could not be read.", metadata: ["error": "\(error)"])
            }
          }
        }
        let isSecond = state.withLockedValue { state in
          if state.watcher != nil || state.isShutDown { return true }
          state.watcher = watcher
          return false
        }
        if isSecond { watcher.cancel() }
      }
      try await readAll()
    } catch {
      throw .metadata("the list of bookies cannot be read: \(error)")
    }
  }

  /// Where the bookie listens: as last seen or, if that is unknown or `isStale`, as registered now; nil if it is not.
  func resolve(_ bookie: String, isStale: Bool) async -> BookieInfo? {
    if !isStale, let known = state.withLockedValue({ $0.available[bookie] }) { return known }
    guard let record = try? await metadata.get(Self.prefix + bookie) else { return nil }
    return Self.parse(record)
  }

  func shutdown() {
    state.withLockedValue { state in
      state.isShutDown = true
      state.watcher?.cancel()
      state.watcher = nil
    }
  }

  private func readAll() async throws {
    let records = try await metadata.list(prefix: Self.prefix)
    var found: [String: BookieInfo] = [:]
    for record in records {
      // Deeper keys, such as those of read-only bookies, take no new entries.
      guard !record.key.dropFirst(Self.prefix.count).contains("/") else { continue }
      guard let info = Self.parse(record) else {
        logger.warning("A bookie's registration cannot be read.", metadata: ["key": "\(record.key)"])
        continue
      }
      found[info.id] = info
    }
    state.withLockedValue { $0.available = found }
  }

  private static func parse(_ record: MetadataRecord) -> BookieInfo? {
    guard record.key.hasPrefix(prefix),
      let address = try? JSONDecoder().decode(Address.self, from: Data(record.value))
    else { return nil }
    return BookieInfo(
      id: String(record.key.dropFirst(prefix.count)), host: address.host, port: address.port,
      networkLocation: address.networkLocation)
  }
}

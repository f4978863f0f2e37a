import Logging
import MetadataStore
import NIOConcurrencyHelpers
import NIOCore

/// Which bookies are registered, where they listen, and which failed of late. Shared by all loops of a client.
final class BookieDirectory: Sendable {
  private struct State {
    var registered: [String: BookieInfo] = [:]
    var reputation: BookieReputation
    var watcher: Task<Void, Never>?
    /// Reads the registrations after a change, and once more if there was another one meanwhile.
    var reader: Task<Void, Never>?
    var isStale = false
    var observers: [@Sendable () -> Void] = []
    var isShutDown = false
    var quarantines: Int64 = 0
    /// Reads of the registrations that were begun, and the latest of them that is in `registered`.
    var reads = (begun: 0, applied: 0)
  }

  /// Between attempts to read the registrations, or to watch them.
  private static let pause = Duration.milliseconds(500)
  /// Between reads of the registrations, however often they change.
  private static let rest = Duration.milliseconds(100)

  private let metadata: any MetadataStore
  private let logger: Logger
  private let state: NIOLockedValueBox<State>

  init(metadata: any MetadataStore, limits: BookieReputation.Limits, logger: Logger) {
    self.metadata = metadata
    self.logger = logger
    state = NIOLockedValueBox(State(reputation: BookieReputation(limits)))
  }

  /// The registered bookies that new entries may go to, as last seen.
  var available: [BookieInfo] {
    state.withLockedValue { $0.registered.values.filter { !$0.isReadOnly && !$0.isDraining } }
  }

  /// All registered bookies by id, as last seen: also those that are read-only or draining.
  var registered: [String: BookieInfo] { state.withLockedValue { $0.registered } }

  /// Bookies that failed within the memory of failures, or are quarantined.
  var suspects: Set<String> {
    let now = NIODeadline.now()
    return state.withLockedValue { $0.reputation.avoided(now: now) }
  }

  /// Bookies that failed so often that they are left alone for long.
  var quarantined: Set<String> {
    let now = NIODeadline.now()
    return state.withLockedValue { $0.reputation.quarantined(now: now) }
  }

  /// How often a bookie was put into quarantine.
  var quarantines: Int64 { state.withLockedValue { $0.quarantines } }

  /// Remembers that the bookie failed.
  func noteFailure(of bookie: String, count: Int = 1) {
    let now = NIODeadline.now()
    let isNew = state.withLockedValue { state in
      let isNew = state.reputation.failed(bookie, count: count, now: now)
      if isNew { state.quarantines += 1 }
      return isNew
    }
    if isNew {
      logger.warning(
        "A bookie fails so often that it is quarantined; look at its log and its disks.",
        metadata: ["bookie": "\(bookie)"])
    }
  }

  /// The bookie did what it was asked.
  func noteSuccess(of bookie: String) {
    state.withLockedValue { $0.reputation.succeeded(bookie) }
  }

  /// Calls `observer`, on any thread, whenever the set of bookies that are there to stay has changed.
  func onChange(_ observer: @escaping @Sendable () -> Void) {
    state.withLockedValue { $0.observers.append(observer) }
  }

  /// Reads the registrations and, the first time, begins to watch them.
  func refresh() async throws(LedgerError) {
    do {
      if state.withLockedValue({ $0.watcher == nil && !$0.isShutDown }) {
        let events = try await metadata.watch(prefix: BookieRegistration.root)
        let watcher = Task { [weak self, metadata] in
          var events = events
          while !Task.isCancelled {
            for await event in events where BookieRegistration.concerns(event.key) {
              guard let self else { return }
              self.noteChange()
            }
            // The store can no longer vouch for completeness: it is watched, and read, anew.
            try? await Task.sleep(for: Self.pause)
            guard self != nil, !Task.isCancelled else { return }
            guard let next = try? await metadata.watch(prefix: BookieRegistration.root) else { continue }
            events = next
            self?.noteChange()
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

  /// All that changes while the registrations are read is read together.
  private func noteChange() {
    state.withLockedValue { state in
      state.isStale = true
      guard state.reader == nil, !state.isShutDown else { return }
      state.reader = Task { [weak self] in
        while let self, self.takeStale() {
          await self.readUntilDone()
          try? await Task.sleep(for: Self.rest)
        }
      }
    }
  }

  private func takeStale() -> Bool {
    state.withLockedValue { state in
      if !state.isStale { state.reader = nil }
      defer { state.isStale = false }
      return state.isStale
    }
  }

  /// Reads until that succeeds: what has changed is told once only.
  private func readUntilDone() async {
    while !Task.isCancelled {
      do {
        return try await readAll()
      } catch {
        logger.warning("The list of bookies could not be read; trying again.", metadata: ["error": "\(error)"])
      }
      try? await Task.sleep(for: Self.pause)
    }
  }

  /// Where the bookie listens: as last seen or, if that is unknown, `isStale`, or about to be read, as registered now; nil
  /// if it is not.
  func resolve(_ bookie: String, isStale: Bool) async -> BookieInfo? {
    let (known, hasChanged) = state.withLockedValue { ($0.registered[bookie], $0.isStale) }
    if !isStale, !hasChanged, let known { return known }
    for prefix in [BookieRegistration.available, BookieRegistration.readOnly] {
      if let record = try? await metadata.get(prefix + bookie), let info = BookieRegistration.parse(record) {
        return info
      }
    }
    return isStale ? nil : known
  }

  func shutdown() {
    state.withLockedValue { state in
      state.isShutDown = true
      state.watcher?.cancel()
      state.watcher = nil
      state.reader?.cancel()
      state.reader = nil
      state.observers = []
    }
  }

  private static func usable(_ bookies: [String: BookieInfo]) -> Set<String> {
    Set(bookies.values.lazy.filter { !$0.isDraining }.map(\.id))
  }

  /// Several may run at once: what an earlier one found never replaces what a later one found.
  private func readAll() async throws {
    let number = state.withLockedValue { state in
      state.reads.begun += 1
      return state.reads.begun
    }
    let found = try await BookieRegistration.readAll(metadata) { key in
      logger.warning("A bookie's registration cannot be read.", metadata: ["key": "\(key)"])
    }
    let observers: [@Sendable () -> Void] = state.withLockedValue { state in
      guard number > state.reads.applied else { return [] }
      state.reads.applied = number
      let isSame = Self.usable(state.registered) == Self.usable(found)
      state.registered = found
      return isSame ? [] : state.observers
    }
    for observer in observers { observer() }
  }
}

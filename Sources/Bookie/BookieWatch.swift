import Logging
import MetadataStore
import NIOConcurrencyHelpers

/// Looks at the disks from time to time, and keeps the cluster informed: whether the bookie is read-only, which of its entries
/// are damaged, and whether it may have lost some.
///
/// `/bookies/damaged/<bookie>/<ledger>` has the numbers of damaged entries (`DamageRecord`). Whoever repairs them writes them to
/// the bookie again, by which they disappear from the list.
/// `/bookies/limbo/<bookie>` has `limbo <highest ledger>` while a part of the journal is lost. Whoever has compared every ledger
/// up to that one with its replicas, and restored what was missing, writes `repaired <highest ledger>`.
final class BookieWatch: Sendable {
  private let storage: BookieStorage
  private let metadata: any MetadataStore
  private let registration: Registration
  private let logger: Logger
  private let task = NIOLockedValueBox<Task<Void, Never>?>(nil)
  private let told = NIOLockedValueBox(Told())

  /// What the cluster knows of damaged entries.
  private struct Told {
    /// Whether it was asked: what it knew before a restart is not to be written over.
    var isLoaded = false
    var isBehind = false
    var records: [Int64: DamageRecord] = [:]
  }

  init(storage: BookieStorage, metadata: any MetadataStore, registration: Registration, logger: Logger) {
    self.storage = storage
    self.metadata = metadata
    self.registration = registration
    self.logger = logger
  }

  private var damagePrefix: String { "/bookies/damaged/\(storage.configuration.bookieID)/" }
  private var limboKey: String { "/bookies/limbo/\(storage.configuration.bookieID)" }

  func start() {
    let loop = Task { [self] in
      while !Task.isCancelled {
        await look()
        try? await Task.sleep(for: storage.configuration.diskCheckInterval)
      }
    }
    task.withLockedValue { $0 = loop }
  }

  func end() async {
    let loop = task.withLockedValue { $0 }
    loop?.cancel()
    await loop?.value
  }

  /// Looks at everything once.
  func look() async {
    do {
      _ = try await blocking { [storage] in storage.checkDisks() }
      try await registration.update(isReadOnly: !storage.isWritable)
      try await followDamage()
      try await followLimbo()
    } catch is CancellationError {
      return
    } catch {
      report(error)
    }
  }

  private func report(_ error: any Error) {
    logger.warning("The cluster could not be told of the bookie's state.", metadata: ["error": "\(error)"])
  }

  private func followDamage() async throws {
    if !told.withLockedValue({ $0.isLoaded }) { try await loadDamage() }
    let isBehind = told.withLockedValue { told in
      if storage.damage.takeChange() { told.isBehind = true }
      return told.isBehind
    }
    guard isBehind else { return }
    // Before it is told: what changes meanwhile is told the next time, and all of it if this fails.
    told.withLockedValue { $0.isBehind = false }
    do {
      try await publishDamage()
    } catch {
      told.withLockedValue { $0.isBehind = true }
      throw error
    }
  }

  /// What was reported before a restart is still damaged, as far as anybody knows.
  private func loadDamage() async throws {
    for record in try await metadata.list(prefix: damagePrefix) {
      guard let ledgerID = Int64(record.key.dropFirst(damagePrefix.count)) else { continue }
      let known = DamageRecord(text: String(decoding: record.value, as: UTF8.self))
      told.withLockedValue { $0.records[ledgerID] = known }
      storage.damage.add(ledgerID, known.entryIDs)
    }
    told.withLockedValue { $0.isLoaded = true }
  }

  private func publishDamage() async throws {
    var gone = told.withLockedValue { $0.records }
    for item in storage.damage.all {
      let record = DamageRecord(item.entryIDs)
      if gone.removeValue(forKey: item.ledgerID) == record { continue }
      try await metadata.put("\(damagePrefix)\(item.ledgerID)", Array(record.text.utf8))
      told.withLockedValue { $0.records[item.ledgerID] = record }
    }
    for ledgerID in gone.keys {
      try await metadata.delete("\(damagePrefix)\(ledgerID)")
      told.withLockedValue { $0.records[ledgerID] = nil }
    }
  }

  /// Ends the limbo, for good.
  func leaveLimbo() async throws {
    storage.leaveLimbo()
    await storage.checkpoint()
    try await metadata.delete(limboKey)
  }

  private func followLimbo() async throws {
    guard case .through(let last) = storage.state.withLockedValue({ $0.table.limbo }) else { return }
    let record = try await metadata.get(limboKey)
    if let record, record.value == Array("repaired \(last)".utf8) {
      try await leaveLimbo()
      logger.notice("Everything that the damaged journal may have held is repaired.")
    } else if record?.value != Array("limbo \(last)".utf8) {
      try await metadata.put(limboKey, Array("limbo \(last)".utf8))
    }
  }
}

extension BookieStorage {
  /// Whether ordinary adds are accepted.
  var isWritable: Bool { state.withLockedValue { $0.disks.mode == .writable } }
}

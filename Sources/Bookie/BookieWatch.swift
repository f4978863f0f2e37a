import Logging
import MetadataStore
import NIOConcurrencyHelpers

/// Looks at the disks from time to time, and keeps the cluster informed: whether the bookie is read-only, which of its entries
/// are damaged, and whether it may have lost some.
///
/// `/bookies/damaged/<bookie>/<ledger>` has the numbers of damaged entries, separated by commas. Whoever repairs them writes
/// them to the bookie again, by which they disappear from the list.
/// `/bookies/limbo/<bookie>` has `limbo <highest ledger>` while a part of the journal is lost. Whoever has compared every ledger
/// up to that one with its replicas, and restored what was missing, writes `repaired <highest ledger>`.
final class BookieWatch: Sendable {
  private let storage: BookieStorage
  private let metadata: any MetadataStore
  private let registration: Registration
  private let logger: Logger
  private let task = NIOLockedValueBox<Task<Void, Never>?>(nil)
  private let known = NIOLockedValueBox<[Int64: [Int64]]>([:])

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
      do { try await loadDamage() } catch { report(error) }
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
      if storage.damage.takeChange() { try await publishDamage() }
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

  /// What was reported before a restart is still damaged, as far as anybody knows.
  private func loadDamage() async throws {
    for record in try await metadata.list(prefix: damagePrefix, after: nil, limit: 10_000) {
      guard let ledgerID = Int64(record.key.dropFirst(damagePrefix.count)) else { continue }
      let entries = String(decoding: record.value, as: UTF8.self).split(separator: ",").compactMap { Int64($0) }
      known.withLockedValue { $0[ledgerID] = entries }
      storage.damage.add(ledgerID, entries)
    }
  }

  private func publishDamage() async throws {
    var gone = known.withLockedValue { $0 }
    for item in storage.damage.all {
      if gone.removeValue(forKey: item.ledgerID) == item.entryIDs { continue }
      let text = item.entryIDs.map(String.init).joined(separator: ",")
      try await metadata.put("\(damagePrefix)\(item.ledgerID)", Array(text.utf8))
      known.withLockedValue { $0[item.ledgerID] = item.entryIDs }
    }
    for ledgerID in gone.keys {
      try await metadata.delete("\(damagePrefix)\(ledgerID)")
      known.withLockedValue { $0[ledgerID] = nil }
    }
  }

  private func followLimbo() async throws {
    guard case .through(let last) = storage.state.withLockedValue({ $0.table.limbo }) else { return }
    let record = try await metadata.get(limboKey)
    if let record, record.value == Array("repaired \(last)".utf8) {
      storage.leaveLimbo()
      await storage.checkpoint()
      try await metadata.delete(limboKey)
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

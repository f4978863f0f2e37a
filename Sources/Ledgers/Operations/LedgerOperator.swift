import Foundation
import MetadataStore
import NIOCore

/// What operators do with ledgers and with auto-recovery: the base of `meridian ledgers` and of its HTTP paths. All results
/// are ready for JSON. Works from any process that has a ``LedgerClient``.
public struct LedgerOperator: Sendable {
  let client: LedgerClient

  /// Operates on the region that `client` belongs to.
  public init(client: LedgerClient) {
    self.client = client
  }

  // MARK: Ledgers

  /// Up to `limit` (1...10,000) ledgers behind `after`, in the order of their ids' digits.
  public func list(after: LedgerID? = nil, limit: Int = 1_000) async throws -> LedgerPage {
    let page = try await client.store.list(after: after, limit: min(max(1, limit), 10_000))
    return LedgerPage(
      ledgers: page.ledgers.map { id, found in
        switch found {
        case .success(let versioned): LedgerSummary(id, versioned.metadata)
        case .failure(let error): LedgerSummary(id, unreadable: error)
        }
      }, next: page.next)
  }

  /// One ledger's metadata. Throws ``LedgerError/noSuchLedger(_:)``.
  public func show(_ id: LedgerID) async throws -> LedgerSummary {
    LedgerSummary(id, try await client.ledgerMetadata(id))
  }

  /// The first entry (at least) of `from...through` and those behind it, up to `maxBytes` of payload. Neither fences nor
  /// closes the ledger; of one that is open, entries known to be acknowledged can be read. `through` beyond the end means
  /// the end. Throws ``LedgerError/noSuchEntry(_:_:)`` if `from` is beyond it.
  public func read(
    _ id: LedgerID, from: EntryID, through: EntryID, maxBytes: Int = 1 << 20
  ) async throws -> [LedgerEntry] {
    guard from >= 0, through >= from, maxBytes > 0 else {
      throw LedgerError.invalidRequest("entries \(from) through \(through) with \(maxBytes) bytes make no sense.")
    }
    let loop = client.group.next()
    let ledger = try await client.openLedgerWithoutRecovery(id, on: loop)
    guard from <= ledger.lastEntry else { throw LedgerError.noSuchEntry(id, from) }
    return try await loop.flatSubmit { () -> EventLoopFuture<[LedgerEntry]> in
      let promise = loop.makePromise(of: [LedgerEntry].self)
      ledger.read(from: from, through: min(through, ledger.lastEntry), maxBytes: maxBytes) {
        promise.completeWith($0.mapError { $0 as any Error })
      }
      return promise.futureResult
    }.get()
  }

  /// Reads copies of the ledger's final entries from every bookie that should have them and compares them.
  /// - Parameters:
  ///   - percentage: entries looked at, 0...100; the first and the last ones of each segment always are.
  ///   - marks: have auto-recovery repair what is found.
  ///   - bytesPerSecond: how fast to read; 0: as fast as it goes.
  public func verify(
    _ id: LedgerID, percentage: Int = 100, marks: Bool = true, bytesPerSecond: Int = 0
  ) async throws -> LedgerVerification {
    let verifier = LedgerVerifier(
      access: ReplicaAccess(
        id: id, metadata: try await client.ledgerMetadata(id), bookies: try client.bookies(on: client.group.next())),
      percentage: percentage, maximumEntries: 256, throttle: SharedThrottle(bytesPerSecond: bytesPerSecond))
    let found = try await verifier.verify { try Task.checkCancellation() }
    if marks, !found.suspects.isEmpty {
      try await client.marks.mark(id) { _ = $0.add(suspects: found.suspects) }
    }
    return found
  }

  /// Fences the ledger's writer, finds its end and closes it, unless it is closed already.
  /// Throws ``LedgerError/dataUnavailable(_:)`` when too few bookies answer to be sure where it ends.
  public func recover(_ id: LedgerID) async throws -> LedgerSummary {
    let ledger = try await client.openLedger(id, on: client.group.next())
    return LedgerSummary(id, ledger.metadata)
  }

  /// Forgets a ledger for good; topics that still name it lose what is in it. `confirmation` must be its id in decimal.
  public func delete(_ id: LedgerID, confirmation: String) async throws {
    guard confirmation == "\(id)" else {
      throw LedgerError.invalidRequest("to delete ledger \(id), confirm with its id.")
    }
    _ = try await client.store.read(id)
    try await client.deleteLedger(id)
  }

  // MARK: Auto-recovery

  /// Up to `limit` (1...10,000) ledgers that wait for repair, behind `after`, in the order of their ids' digits.
  public func underReplicated(after: LedgerID? = nil, limit: Int = 1_000) async throws -> [UnderReplicatedLedger] {
    try await client.marks.list(after: after, limit: min(max(1, limit), 10_000)).map(\.ledger)
  }

  /// Has auto-recovery look at the ledger at once, also if it is waiting after failed attempts.
  public func retry(_ id: LedgerID) async throws {
    try await client.marks.mark(id) { $0.nextAttemptMs = 0 }
  }

  /// How far auto-recovery is.
  public func autoRecoveryStatus() async throws -> AutoRecoveryStatus {
    let marks = client.marks
    let times = try await marks.auditTimes()
    let disabled = try await marks.disabledSinceMs()
    var status = AutoRecoveryStatus(
      isEnabled: disabled == nil, disabledSinceMs: disabled,
      auditor: try await marks.holder(UnderReplicationStore.auditor), underReplicatedLedgers: 0,
      unrecoverableLedgers: 0, ledgersInRepair: try await marks.lockedLedgers(),
      lastBookieCheckMs: times.bookies == 0 ? nil : times.bookies,
      lastContentCheckMs: times.contents == 0 ? nil : times.contents,
      lastPlacementCheckMs: times.placement == 0 ? nil : times.placement)
    var after: LedgerID?
    while true {
      let page = try await marks.list(after: after, limit: 1_000)
      status.underReplicatedLedgers += page.count
      status.unrecoverableLedgers += page.count { $0.ledger.unrecoverableEntries > 0 }
      guard page.count == 1_000, let last = page.last else { return status }
      after = last.ledger.ledgerID
    }
  }

  /// Switches auto-recovery on or off, for all processes of the region. Off: nothing is audited and nothing copied; what
  /// readers and writers come across is still noted.
  public func setAutoRecoveryEnabled(_ isEnabled: Bool) async throws {
    try await client.marks.setEnabled(isEnabled)
  }

  /// Has the auditor check bookies, contents and placements now.
  public func triggerAudit() async throws {
    try await client.marks.requestAudit()
  }

  // MARK: Bookies

  /// The bookies that are registered, also those that are read-only or being emptied.
  public func bookies() async throws -> [BookieInfo] {
    try await client.availableBookies()
  }

  /// The bookies that have an identity in the region and are not registered: they are down, or were never taken out of
  /// service.
  public func unavailableBookies() async throws -> [String] {
    let store = client.marks.store
    try await client.directory.refresh()
    let registered = client.directory.registered
    return try await store.keys(prefix: BookieRegistration.cookies)
      .map { String($0.dropFirst(BookieRegistration.cookies.count)) }
      .filter { registered[$0] == nil }.sorted()
  }

  /// Sets a bookie's failure domain (a path such as `/zone-a/rack-3`) and its affinity group; they go before what the
  /// bookie tells itself. Both nil: what was set is forgotten.
  public func setRack(_ rack: String?, group: String?, of bookie: String) async throws {
    try Self.validate(bookie)
    guard rack?.hasPrefix("/") != false, rack != "/" else {
      throw LedgerError.invalidRequest("a rack is a path such as /zone-a/rack-3.")
    }
    let key = BookieRegistration.racks + bookie
    let store = client.marks.store
    if rack == nil, group == nil { return try await store.delete(key, expected: .any) }
    try await store.put(key, Array(try JSONEncoder().encode(BookieRegistration.Rack(rack: rack, group: group))))
  }

  /// Begins, or continues, to take a bookie out of service for good: it gets no new entries, and auto-recovery makes copies
  /// of what it holds elsewhere. Call again to see how far that is. Once nothing needs the bookie **and** its process is
  /// stopped, its identity is removed, and the result says that it is done.
  public func decommission(_ bookie: String) async throws -> DecommissionStatus {
    try Self.validate(bookie)
    let store = client.marks.store
    try await store.put(BookieRegistration.draining + bookie, [])
    try await client.directory.refresh()
    var remaining = 0
    var after: LedgerID?
    repeat {
      let page = try await client.store.list(after: after, limit: 500)
      for (id, found) in page.ledgers {
        switch found {
        case .success(let versioned):
          guard versioned.metadata.bookiesInUse.contains(bookie) else { continue }
          remaining += 1
          try await client.marks.mark(id) { _ = $0.add(lost: [bookie], nowMs: UnderReplicationStore.nowMs()) }
        case .failure(let error): throw error
        }
      }
      after = page.next
    } while after != nil
    let isRegistered = client.directory.registered[bookie] != nil
    guard remaining == 0, !isRegistered else {
      return DecommissionStatus(
        bookie: bookie, remainingLedgers: remaining, isRegistered: isRegistered, isDone: false)
    }
    try await store.delete(BookieRegistration.cookies + bookie, expected: .any)
    try await store.delete(BookieRegistration.racks + bookie, expected: .any)
    // Nobody needs what it found damaged or lost.
    try await store.delete(BookieRegistration.limbo + bookie, expected: .any)
    for key in try await store.keys(prefix: BookieRegistration.damaged + bookie + "/") {
      try await store.delete(key, expected: .any)
    }
    try await store.delete(BookieRegistration.draining + bookie, expected: .any)
    return DecommissionStatus(bookie: bookie, remainingLedgers: 0, isRegistered: false, isDone: true)
  }

  /// Lets a bookie that was being emptied serve again. What was copied stays where it is.
  public func recommission(_ bookie: String) async throws {
    try Self.validate(bookie)
    try await client.marks.store.delete(BookieRegistration.draining + bookie, expected: .any)
    try await client.directory.refresh()
  }

  // MARK: Formatting

  /// What `format` wants to hear.
  public static let formatConfirmation = "delete all ledgers"

  /// Deletes the metadata of **all** ledgers, of auto-recovery, and the identities of all bookies: nothing that bookies hold
  /// can be read again, and their directories must be emptied too. Ids of ledgers are not used again.
  /// Refuses while any bookie is registered, or without ``formatConfirmation``.
  /// - Returns: how many ledgers were deleted.
  @discardableResult
  public func format(confirmation: String) async throws -> Int {
    guard confirmation == Self.formatConfirmation else {
      throw LedgerError.invalidRequest("to delete every ledger, confirm with \"\(Self.formatConfirmation)\".")
    }
    try await client.directory.refresh()
    let registered = client.directory.registered.keys.sorted()
    guard registered.isEmpty else {
      throw LedgerError.invalidRequest(
        "bookies are running (\(registered.joined(separator: ", "))): stop all of them first.")
    }
    let store = client.marks.store
    var deleted = 0
    while true {
      let keys = try await store.keys(prefix: LedgerMetadataStore.root, after: nil, limit: 1_000)
      for key in keys {
        try await store.delete(key, expected: .any)
        if LedgerMetadataStore.id(of: key) != nil { deleted += 1 }
      }
      guard !keys.isEmpty else { break }
    }
    for prefix in [
      BookieRegistration.cookies, BookieRegistration.draining, BookieRegistration.damaged, BookieRegistration.limbo,
    ] {
      for key in try await store.keys(prefix: prefix) { try await store.delete(key, expected: .any) }
    }
    return deleted
  }

  private static func validate(_ bookie: String) throws(LedgerError) {
    guard !bookie.isEmpty, !bookie.contains("/"), !bookie.contains("\0") else {
      throw .invalidRequest("\"\(bookie)\" is not the id of a bookie.")
    }
  }
}

import Foundation
import MetadataStore

/// What auto-recovery keeps in the metadata store, under `/ledgers/underreplicated/`.
struct UnderReplicationStore: Sendable {
  static let root = "/ledgers/underreplicated/"
  static let ledgers = root + "ledgers/"
  static let locks = root + "locks/"
  static let auditor = root + "auditor"
  static let disabled = root + "disabled"
  static let audits = root + "audits"
  static let trigger = root + "trigger"

  struct Versioned: Sendable {
    var ledger: UnderReplicatedLedger
    var version: MetadataVersion
  }

  /// When the periodic audits began last, ms since 1970; 0: never.
  struct AuditTimes: Codable, Equatable, Sendable {
    var bookies: Int64 = 0
    var contents: Int64 = 0
    var placement: Int64 = 0
  }

  private struct Disabled: Codable {
    var sinceMs: Int64
  }

  let store: any MetadataStore

  private static let anchor = (
    ms: Int64(Date().timeIntervalSince1970 * 1_000), at: ContinuousClock.now
  )

  /// Ms since 1970, as the wall clock said when this was asked first in this process: it does not jump when that is set.
  static func nowMs() -> Int64 {
    let passed = (ContinuousClock.now - anchor.at).components
    return anchor.ms + passed.seconds * 1_000 + passed.attoseconds / 1_000_000_000_000_000
  }

  // MARK: Marks

  /// Adds to what is known of the ledger.
  func mark(_ id: LedgerID, _ change: (inout UnderReplicatedLedger) -> Void) async throws(LedgerError) {
    try await mapErrors {
      while true {
        let key = Self.ledgers + "\(id)"
        let record = try await store.get(key)
        var mark = record.flatMap { Self.decode($0) } ?? UnderReplicatedLedger(ledgerID: id, sinceMs: Self.nowMs())
        change(&mark)
        let bytes = try Self.encode(mark)
        do {
          try await store.put(key, bytes, expected: record.map { .exactly($0.version) } ?? .absent)
          return
        } catch MetadataError.versionMismatch {
          try Task.checkCancellation()
        } catch {
          // The change may have been made and only the answer lost.
          guard let present = try? await store.get(key), present.value == bytes else { throw error }
          return
        }
      }
    }
  }

  func read(_ id: LedgerID) async throws(LedgerError) -> Versioned? {
    try await mapErrors {
      guard let record = try await store.get(Self.ledgers + "\(id)"), let mark = Self.decode(record) else { return nil }
      return Versioned(ledger: mark, version: record.version)
    }
  }

  /// Up to `limit` marks behind `after` in the order of the keys, which is that of the ids' decimal digits.
  func list(after: LedgerID?, limit: Int) async throws(LedgerError) -> [Versioned] {
    try await mapErrors {
      try await store.list(prefix: Self.ledgers, after: after.map { Self.ledgers + "\($0)" }, limit: limit)
        .compactMap { record in Self.decode(record).map { Versioned(ledger: $0, version: record.version) } }
    }
  }

  /// Replaces a mark; nil if somebody else changed it.
  func write(
    _ mark: UnderReplicatedLedger, over version: MetadataVersion
  ) async throws(LedgerError) -> MetadataVersion? {
    try await mapErrors {
      do {
        return try await store.put(
          Self.ledgers + "\(mark.ledgerID)", Self.encode(mark), expected: .exactly(version))
      } catch MetadataError.versionMismatch {
        return nil
      } catch MetadataError.notFound {
        return nil
      }
    }
  }

  /// Removes a mark unless somebody added to it since `version`.
  func clear(_ id: LedgerID, _ version: MetadataVersion) async throws(LedgerError) {
    try await mapErrors {
      do {
        try await store.delete(Self.ledgers + "\(id)", expected: .exactly(version))
      } catch MetadataError.versionMismatch {
        return
      } catch MetadataError.notFound {
        return
      }
    }
  }

  // MARK: Locks and election

  /// The version of the key, which `holder` has from now on as long as the lease lives; nil if somebody else has it.
  /// Whoever copies a ledger, or deletes a copy that metadata does not name, holds `/ledgers/underreplicated/locks/<id>`.
  func acquire(_ key: String, holder: String, lease: MetadataLease) async throws(LedgerError) -> MetadataVersion? {
    try await mapErrors {
      do {
        return try await store.put(key, Array(holder.utf8), expected: .absent, lease: lease)
      } catch MetadataError.versionMismatch {
        return nil
      }
    }
  }

  /// Gives a key back, unless it is lost already and somebody else has it.
  func release(_ key: String, _ version: MetadataVersion) async throws(LedgerError) {
    try await mapErrors {
      do {
        try await store.delete(key, expected: .exactly(version))
      } catch MetadataError.versionMismatch, MetadataError.notFound {
        return
      }
    }
  }

  func holder(_ key: String) async throws(LedgerError) -> String? {
    try await mapErrors { try await store.get(key).map { String(decoding: $0.value, as: UTF8.self) } }
  }

  func lockedLedgers() async throws(LedgerError) -> [LedgerID] {
    try await mapErrors {
      try await store.keys(prefix: Self.locks).compactMap { LedgerID($0.dropFirst(Self.locks.count)) }
    }
  }

  // MARK: Switches

  /// Since when auto-recovery is switched off, ms since 1970; nil if it is on.
  func disabledSinceMs() async throws(LedgerError) -> Int64? {
    try await mapErrors {
      guard let record = try await store.get(Self.disabled) else { return nil }
      return (try? JSONDecoder().decode(Disabled.self, from: Data(record.value)))?.sinceMs ?? 0
    }
  }

  func setEnabled(_ isEnabled: Bool) async throws(LedgerError) {
    try await mapErrors {
      if isEnabled { return try await store.delete(Self.disabled, expected: .any) }
      let value = Array(try JSONEncoder().encode(Disabled(sinceMs: Self.nowMs())))
      do { try await store.put(Self.disabled, value, expected: .absent) } catch MetadataError.versionMismatch {}
    }
  }

  func auditTimes() async throws(LedgerError) -> AuditTimes {
    try await mapErrors {
      guard let record = try await store.get(Self.audits) else { return AuditTimes() }
      return (try? JSONDecoder().decode(AuditTimes.self, from: Data(record.value))) ?? AuditTimes()
    }
  }

  func setAuditTimes(_ times: AuditTimes) async throws(LedgerError) {
    try await mapErrors { _ = try await store.put(Self.audits, Array(try JSONEncoder().encode(times))) }
  }

  /// Asks whoever is the auditor, or will be, to check everything now.
  func requestAudit() async throws(LedgerError) {
    try await mapErrors { _ = try await store.put(Self.trigger, Array("\(Self.nowMs())".utf8)) }
  }

  /// Forgets the request for an audit, which was carried out, unless there is another since.
  func auditDone(_ request: MetadataVersion) async throws(LedgerError) {
    try await mapErrors {
      do {
        try await store.delete(Self.trigger, expected: .exactly(request))
      } catch MetadataError.versionMismatch, MetadataError.notFound {
        return
      }
    }
  }

  /// The version of the request for an audit that nobody has carried out yet; nil without one.
  func auditRequest() async throws(LedgerError) -> MetadataVersion? {
    try await mapErrors { try await store.get(Self.trigger)?.version }
  }

  // MARK: Bytes

  /// Nil only if the key is not that of a ledger: what cannot be read is as good as a mark of everything.
  private static func decode(_ record: MetadataRecord) -> UnderReplicatedLedger? {
    if let mark = try? JSONDecoder().decode(UnderReplicatedLedger.self, from: Data(record.value)) { return mark }
    return LedgerID(record.key.dropFirst(ledgers.count)).map {
      UnderReplicatedLedger(unreadable: $0, sinceMs: nowMs())
    }
  }

  private static func encode(_ mark: UnderReplicatedLedger) throws -> [UInt8] {
    let encoder = JSONEncoder()
    encoder.outputFormatting = .sortedKeys
    return Array(try encoder.encode(mark))
  }

  private func mapErrors<T>(_ body: () async throws -> T) async throws(LedgerError) -> T {
    do {
      return try await body()
    } catch let error as LedgerError {
      throw error
    } catch {
      throw .metadata("\(error)")
    }
  }
}

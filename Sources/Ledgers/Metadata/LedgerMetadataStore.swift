import MetadataStore

/// Ledger metadata in the metadata store, under `/ledgers/<id>`, each change conditional on the version it was made from.
struct LedgerMetadataStore: Sendable {
  struct Versioned: Sendable {
    var metadata: LedgerMetadata
    var version: MetadataVersion
  }

  let store: any MetadataStore

  static let root = "/ledgers/"

  static func key(_ id: LedgerID) -> String { root + "\(id)" }

  /// The ledger whose metadata is at `key`, or nil if something else is.
  static func id(of key: String) -> LedgerID? {
    guard key.hasPrefix(root) else { return nil }
    return LedgerID(key.dropFirst(root.count))
  }

  func nextID() async throws(LedgerError) -> LedgerID {
    try await mapErrors { try await store.nextSequence("ledger-id") }
  }

  func read(_ id: LedgerID) async throws(LedgerError) -> Versioned {
    guard let record = try await mapErrors({ try await store.get(Self.key(id)) }) else { throw .noSuchLedger(id) }
    return Versioned(metadata: try LedgerMetadataCodec.decode(record.value, of: id), version: record.version)
  }

  /// A page of the region's ledgers; what cannot be read is there too, as an error.
  struct Page {
    var ledgers: [(id: LedgerID, Result<Versioned, LedgerError>)]
    /// The ledger behind which the next page begins; nil if this is the last one.
    var next: LedgerID?
  }

  /// Up to `limit` ledgers behind `after`, in the order of their keys, which is that of the ids' decimal digits.
  func list(after: LedgerID?, limit: Int) async throws(LedgerError) -> Page {
    let records = try await mapErrors {
      try await store.list(prefix: Self.root, after: after.map(Self.key), limit: limit)
    }
    var page = Page(ledgers: [], next: nil)
    for record in records {
      // Digits come before letters: behind the first key that is not a ledger's there are none.
      guard let id = Self.id(of: record.key) else { return page }
      let decoded = Result { () throws(LedgerError) in
        Versioned(metadata: try LedgerMetadataCodec.decode(record.value, of: id), version: record.version)
      }
      page.ledgers.append((id, decoded))
    }
    if records.count == limit { page.next = page.ledgers.last?.id }
    return page
  }

  /// Stores metadata of a new ledger; nil if the id is taken.
  func create(_ id: LedgerID, _ metadata: LedgerMetadata) async throws(LedgerError) -> MetadataVersion? {
    try await put(id, metadata, .absent)
  }

  /// Replaces metadata; nil if it is not at `version` any more.
  func write(
    _ id: LedgerID, _ metadata: LedgerMetadata, over version: MetadataVersion
  ) async throws(LedgerError) -> MetadataVersion? {
    try await put(id, metadata, .exactly(version))
  }

  func delete(_ id: LedgerID) async throws(LedgerError) {
    try await mapErrors {
      do { try await store.delete(Self.key(id), expected: .any) } catch MetadataError.notFound {}
    }
  }

  private func put(
    _ id: LedgerID, _ metadata: LedgerMetadata, _ expected: ExpectedVersion
  ) async throws(LedgerError) -> MetadataVersion? {
    try await mapErrors {
      let bytes = try LedgerMetadataCodec.encode(metadata)
      do {
        return try await store.put(Self.key(id), bytes, expected: expected)
      } catch MetadataError.versionMismatch {
        return nil
      } catch MetadataError.notFound {
        // The ledger was deleted meanwhile.
        return nil
      } catch {
        // The change may have been made and only the answer lost. Who else might have written the very same bytes wanted
        // the same, and its next change is conditional too.
        guard let present = try? await store.get(Self.key(id)), present.value == bytes else { throw error }
        return present.version
      }
    }
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

/// What a caller wants changed.
enum StoreRequest {
  case put(key: String, value: [UInt8], expected: ExpectedVersion, lease: Int64?)
  case delete(key: String, expected: ExpectedVersion)
  case nextInSequence(String)
  case grantLease
  case endLease(Int64)
}

/// What a request led to.
enum StoreAnswer: Equatable {
  case version(Int64)
  case done
  case number(Int64)
  case lease(Int64)
  case failed(MetadataError)
}

/// A part of the next write to the database.
enum StoreMutation: Equatable {
  case setRecord(key: String, StoredRecord)
  case removeRecord(key: String)
  case bind(lease: Int64, key: String)
  case unbind(lease: Int64, key: String)
  case setSequence(String, limit: Int64)
}

/// Numbers of a sequence that are durable as given and not handed out yet.
struct SequenceBlock: Equatable {
  var next: Int64
  var limit: Int64

  mutating func take() -> Int64? {
    guard next <= limit else { return nil }
    defer { next += 1 }
    return next
  }
}

/// Decides requests one after the other and collects what they change into one group, to be written atomically.
///
/// Requests of a group see the effects of the earlier ones. If the write of a group fails, so does this state: take an
/// earlier one.
struct StoreState {
  /// What one write makes durable.
  struct Group {
    var mutations: [StoreMutation] = []
    var events: [MetadataEvent] = []
    /// Present records that differ from the database: nil for removed ones.
    var records: [String: StoredRecord?] = [:]
    var blocks: [String: SequenceBlock] = [:]
  }

  /// Numbers that one synced write makes available.
  static let sequenceBlockLength: Int64 = 100

  /// The version of the last change.
  private(set) var revision: Int64
  /// The keys of each lease that holds.
  private(set) var leases: [Int64: Set<String>] = [:]
  private(set) var group = Group()
  private var nextLease: Int64

  init(revision: Int64, firstLease: Int64) {
    self.revision = revision
    self.nextLease = firstLease
  }

  /// Gives out the group and begins the next one.
  mutating func takeGroup() -> Group {
    defer { group = Group() }
    return group
  }

  /// - Parameters:
  ///   - stored: reads a record from the database.
  ///   - block: takes a number that an earlier group made available.
  ///   - limit: reads the last number of a sequence that may have been given.
  mutating func apply(
    _ request: StoreRequest, stored: (String) throws -> StoredRecord?, block: (String) -> Int64?,
    limit: (String) throws -> Int64
  ) throws -> StoreAnswer {
    switch request {
    case .put(let key, let value, let expected, let lease):
      return try put(key, value, expected, lease, stored)
    case .delete(let key, let expected):
      let present = try record(key, stored)
      guard expected.allows(present.map { MetadataVersion(rawValue: $0.version) }) else {
        return .failed(.versionMismatch(key: key))
      }
      if let present { remove(key, present) }
      return .done
    case .nextInSequence(let name):
      if let number = group.blocks[name]?.take() ?? block(name) { return .number(number) }
      let last = try group.blocks[name]?.limit ?? limit(name)
      var fresh = SequenceBlock(next: last + 1, limit: last + Self.sequenceBlockLength)
      let number = last + 1
      _ = fresh.take()
      group.blocks[name] = fresh
      group.mutations.append(.setSequence(name, limit: fresh.limit))
      return .number(number)
    case .grantLease:
      defer { nextLease += 1 }
      leases[nextLease] = []
      return .lease(nextLease)
    case .endLease(let lease):
      for key in (leases[lease] ?? []).sorted() {
        if let present = try record(key, stored), present.lease == lease { remove(key, present) }
      }
      leases[lease] = nil
      return .done
    }
  }

  private mutating func put(
    _ key: String, _ value: [UInt8], _ expected: ExpectedVersion, _ lease: Int64?,
    _ stored: (String) throws -> StoredRecord?
  ) throws -> StoreAnswer {
    if let lease, leases[lease] == nil { return .failed(.leaseExpired) }
    let present = try record(key, stored)
    guard expected.allows(present.map { MetadataVersion(rawValue: $0.version) }) else {
      return .failed(.versionMismatch(key: key))
    }
    let former = present?.lease ?? 0
    let latter = lease ?? 0
    if former != latter {
      unbind(key, from: former)
      if let lease {
        leases[lease]?.insert(key)
        group.mutations.append(.bind(lease: lease, key: key))
      }
    }
    revision += 1
    let record = StoredRecord(version: revision, lease: latter, value: value)
    group.records[key] = .some(record)
    group.mutations.append(.setRecord(key: key, record))
    group.events.append(MetadataEvent(kind: .put, key: key, version: MetadataVersion(rawValue: revision)))
    return .version(revision)
  }

  private mutating func remove(_ key: String, _ present: StoredRecord) {
    unbind(key, from: present.lease)
    revision += 1
    group.records[key] = .some(nil)
    group.mutations.append(.removeRecord(key: key))
    group.events.append(MetadataEvent(kind: .delete, key: key, version: MetadataVersion(rawValue: revision)))
  }

  private mutating func unbind(_ key: String, from lease: Int64) {
    guard lease != 0 else { return }
    leases[lease]?.remove(key)
    group.mutations.append(.unbind(lease: lease, key: key))
  }

  private func record(_ key: String, _ stored: (String) throws -> StoredRecord?) throws -> StoredRecord? {
    if let changed = group.records[key] { return changed }
    return try stored(key)
  }
}

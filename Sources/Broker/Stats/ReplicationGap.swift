/// Entries of one topic partition that a remote region lacks for good: it had them once and lost them, and the region that
/// they come from no longer has them either. Both sides keep the record. Positions are the source's.
public struct ReplicationGap: Codable, Hashable, Sendable {
  /// Ledger of the last entry before the gap; -1 if nothing is before it.
  public var fromLedgerId: Int64
  /// That entry.
  public var fromEntryId: Int64
  /// Ledger of the last entry of the gap.
  public var throughLedgerId: Int64
  /// That entry.
  public var throughEntryId: Int64
  /// When the source found it, in milliseconds since 1970.
  public var recordedAtMs: Int64

  /// A gap of its parts.
  public init(
    fromLedgerId: Int64, fromEntryId: Int64, throughLedgerId: Int64, throughEntryId: Int64, recordedAtMs: Int64
  ) {
    self.fromLedgerId = fromLedgerId
    self.fromEntryId = fromEntryId
    self.throughLedgerId = throughLedgerId
    self.throughEntryId = throughEntryId
    self.recordedAtMs = recordedAtMs
  }

  fileprivate static let fields: [(name: String, path: WritableKeyPath<ReplicationGap, Int64> & Sendable)] = [
    ("fromLedger", \.fromLedgerId), ("fromEntry", \.fromEntryId), ("throughLedger", \.throughLedgerId),
    ("throughEntry", \.throughEntryId), ("recordedAtMs", \.recordedAtMs),
  ]
}

/// The gaps between one topic partition and one remote region: how many there were, and the last of them.
///
/// Kept in the properties of a cursor: the replicator's at the source, that of the topic's progress at the destination.
public struct ReplicationGaps: Hashable, Sendable {
  /// Records that are kept.
  public static let maximumRecords = 8

  /// How many there were in all.
  public private(set) var count: Int64 = 0
  /// The last of them, oldest first.
  public private(set) var records: [ReplicationGap] = []

  /// None.
  public init() {}

  /// Adds a gap, unless it is known. Returns whether it was new.
  @discardableResult
  public mutating func add(_ gap: ReplicationGap) -> Bool {
    guard !records.contains(gap) else { return false }
    count = count == .max ? .max : count + 1
    records.append(gap)
    if records.count > Self.maximumRecords { records.removeFirst() }
    return true
  }

  // MARK: In a cursor's properties

  private static func countKey(_ region: String) -> String { "meridian.gaps.\(region)" }

  private static func key(_ region: String, _ index: Int, _ field: String) -> String {
    "meridian.gap.\(region).\(index).\(field)"
  }

  /// The regions of which there is something in the properties of a cursor.
  public static func regions(in properties: [String: Int64]) -> [String] {
    properties.keys.compactMap { $0.hasPrefix(countKey("")) ? String($0.dropFirst(countKey("").count)) : nil }
  }

  /// What ``write(into:region:)`` wrote.
  public init(properties: [String: Int64], region: String) {
    guard let count = properties[Self.countKey(region)], count > 0 else { return }
    self.count = count
    for index in 0..<Self.maximumRecords {
      var gap = ReplicationGap(
        fromLedgerId: -1, fromEntryId: -1, throughLedgerId: -1, throughEntryId: -1, recordedAtMs: 0)
      var isWhole = true
      for field in ReplicationGap.fields {
        guard let value = properties[Self.key(region, index, field.name)] else {
          isWhole = false
          break
        }
        gap[keyPath: field.path] = value
      }
      guard isWhole else { return }
      records.append(gap)
    }
  }

  /// Puts them into the properties of a cursor, in place of what was there of the region.
  public func write(into properties: inout [String: Int64], region: String) {
    guard count > 0 else { return }
    properties[Self.countKey(region)] = count
    for (index, gap) in records.enumerated() {
      for field in ReplicationGap.fields {
        properties[Self.key(region, index, field.name)] = gap[keyPath: field.path]
      }
    }
  }

  // MARK: As text, for a stream's PRODUCER command

  /// The records; numbers with commas, records with semicolons.
  public var text: String {
    records.map { gap in ReplicationGap.fields.map { String(gap[keyPath: $0.path]) }.joined(separator: ",") }
      .joined(separator: ";")
  }

  /// Reads ``text``; `nil` if it is none, or longer than it can be.
  public init?(text: String) {
    guard text.utf8.count <= 1024 else { return nil }
    for part in text.split(separator: ";") {
      let numbers = part.split(separator: ",", omittingEmptySubsequences: false).compactMap { Int64($0) }
      guard numbers.count == ReplicationGap.fields.count else { return nil }
      var gap = ReplicationGap(
        fromLedgerId: -1, fromEntryId: -1, throughLedgerId: -1, throughEntryId: -1, recordedAtMs: 0)
      for (field, number) in zip(ReplicationGap.fields, numbers) { gap[keyPath: field.path] = number }
      add(gap)
    }
  }
}

import Foundation
import MetadataStore
import PulsarWire

/// The schemas of every topic, kept in the metadata store: one record per version, never changed.
///
/// All partitions of a topic share its schemas.
final class SchemaRegistry: Sendable {
  private let metadata: any MetadataStore

  init(metadata: any MetadataStore) {
    self.metadata = metadata
  }

  /// Every version of the topic's schema since it was last deleted, oldest first.
  func versions(_ topic: TopicName) async throws -> [SchemaRecord] {
    let all = try await allVersions(topic)
    let live = all.lastIndex(where: \.isDeleted).map { all[(all.index(after: $0))...] } ?? all[...]
    return Array(live)
  }

  /// The topic's present schema; nil if it has none.
  func latest(_ topic: TopicName) async throws -> SchemaRecord? {
    try await versions(topic).last
  }

  /// One version; nil if it does not exist. Versions from before a deletion can still be read: messages refer to them.
  func get(_ topic: TopicName, version: Int64) async throws -> SchemaRecord? {
    guard let record = try await metadata.get(key(topic, version)) else { return nil }
    let schema = try decode(record)
    return schema.isDeleted ? nil : schema
  }

  /// The version of `schema`: an old one if it is known, else a new one if the rules allow it.
  /// Throws ``BrokerError`` (`incompatibleSchema`).
  func register(
    _ topic: TopicName, _ schema: SchemaDefinition, strategy: SchemaCompatibilityStrategy, isUpdateAllowed: Bool
  ) async throws -> SchemaRecord {
    while true {
      let all = try await allVersions(topic)
      let live = all.lastIndex(where: \.isDeleted).map { Array(all[(all.index(after: $0))...]) } ?? all
      if let known = live.last(where: { $0.schema.type == schema.type && $0.schema.data == schema.data }) {
        return known
      }
      if !live.isEmpty, !isUpdateAllowed {
        throw BrokerError(
          .incompatibleSchema, "Schema not found and schema auto updating is disabled.")
      }
      if let objection = SchemaCompatibility.objection(to: schema, after: live.map(\.schema), strategy: strategy) {
        throw BrokerError(.incompatibleSchema, objection)
      }
      let record = SchemaRecord(
        version: (all.last?.version ?? -1) + 1, schema: schema, timestampMs: WallClock.nowMs(), isDeleted: false)
      if try await add(topic, record) { return record }
    }
  }

  /// Why `schema` may not follow the topic's present ones; nil if it may.
  func objection(
    _ topic: TopicName, to schema: SchemaDefinition, strategy: SchemaCompatibilityStrategy
  ) async throws -> String? {
    let existing = try await versions(topic).map(\.schema)
    if existing.contains(where: { $0.type == schema.type && $0.data == schema.data }) { return nil }
    return SchemaCompatibility.objection(to: schema, after: existing, strategy: strategy)
  }

  /// Marks the topic's schema as deleted, or removes every version when `force` is set. Returns the version of the mark.
  @discardableResult
  func delete(_ topic: TopicName, force: Bool) async throws -> Int64? {
    if force {
      for record in try await metadata.list(prefix: prefix(topic)) { try await metadata.delete(record.key) }
      return nil
    }
    while true {
      guard let last = try await allVersions(topic).last, !last.isDeleted else { return nil }
      let mark = SchemaRecord(
        version: last.version + 1, schema: SchemaDefinition(type: .none, data: []), timestampMs: WallClock.nowMs(),
        isDeleted: true)
      if try await add(topic, mark) { return mark.version }
    }
  }

  // MARK: Records

  private struct Stored: Codable {
    var type: Int
    var data: Data
    var properties: [String: String]
    var timestampMs: Int64
    var isDeleted: Bool
  }

  private func allVersions(_ topic: TopicName) async throws -> [SchemaRecord] {
    try await metadata.list(prefix: prefix(topic)).map(decode).sorted { $0.version < $1.version }
  }

  private func add(_ topic: TopicName, _ record: SchemaRecord) async throws -> Bool {
    let stored = Stored(
      type: record.schema.type.rawValue, data: Data(record.schema.data), properties: record.schema.properties,
      timestampMs: record.timestampMs, isDeleted: record.isDeleted)
    do {
      try await metadata.put(key(topic, record.version), Array(JSONEncoder().encode(stored)), expected: .absent)
      return true
    } catch MetadataError.versionMismatch {
      return false
    }
  }

  private func decode(_ record: MetadataRecord) throws -> SchemaRecord {
    guard let text = record.key.split(separator: "/").last, let version = Int64(text),
      let stored = try? JSONDecoder().decode(Stored.self, from: Data(record.value))
    else { throw BrokerError(.metadata, "The schema record \(record.key) is damaged") }
    return SchemaRecord(
      version: version,
      schema: SchemaDefinition(
        type: ProtoSchema.TypeEnum(rawValue: stored.type) ?? .none, data: Array(stored.data),
        properties: stored.properties), timestampMs: stored.timestampMs, isDeleted: stored.isDeleted)
  }

  private func prefix(_ topic: TopicName) -> String {
    let whole = topic.partitionedTopic
    return "/schemas/\(whole.namespace)/\(whole.encodedLocalName)/"
  }

  private func key(_ topic: TopicName, _ version: Int64) -> String {
    let digits = String(version)
    return prefix(topic) + String(repeating: "0", count: max(0, 19 - digits.count)) + digits
  }
}

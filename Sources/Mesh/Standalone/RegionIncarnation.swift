import MetadataStore

/// Which life of a region this is: chosen once at random, kept in its metadata. A region that is rebuilt from nothing
/// under the same name gets another, so that nobody mistakes its positions for the old one's (DESIGN R5).
enum RegionIncarnation {
  static let key = "/region/incarnation"

  static func loadOrCreate(in metadata: any MetadataStore) async throws -> UInt64 {
    if let known = try await read(metadata) { return known }
    // Kept within what every JSON reader takes as an exact number.
    let fresh = UInt64.random(in: 1...(1 << 53) - 1)
    do {
      try await metadata.put(key, Array(String(fresh).utf8), expected: .absent)
      return fresh
    } catch MetadataError.versionMismatch {
      guard let known = try await read(metadata) else { throw MeshError("\(key) vanished while it was read") }
      return known
    }
  }

  private static func read(_ metadata: any MetadataStore) async throws -> UInt64? {
    guard let record = try await metadata.get(key) else { return nil }
    guard let value = UInt64(String(decoding: record.value, as: UTF8.self)) else {
      throw MeshError("\(key) in the metadata store is damaged; restore the metadata directory from a copy")
    }
    return value
  }
}

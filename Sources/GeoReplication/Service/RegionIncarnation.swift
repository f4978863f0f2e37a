import MetadataStore

/// Which life of a region this is: chosen once at random, kept in its metadata. A region that is rebuilt from nothing
/// under the same name gets another, so that nobody mistakes its positions for the old one's (ARCHITECTURE.md, rule R5).
public enum RegionIncarnation {
  /// Why the incarnation cannot be known.
  public struct Fault: Error, CustomStringConvertible {
    /// One sentence for people.
    public var description: String
  }

  static let key = "/region/incarnation"

  /// The region's incarnation, drawn by the first who asks. Throws ``Fault``, or what the store throws.
  public static func loadOrCreate(in metadata: any MetadataStore) async throws -> UInt64 {
    if let known = try await read(metadata) { return known }
    // Kept within what every JSON reader takes as an exact number.
    let fresh = UInt64.random(in: 1...(1 << 53) - 1)
    do {
      try await metadata.put(key, Array(String(fresh).utf8), expected: .absent)
      return fresh
    } catch MetadataError.versionMismatch {
      guard let known = try await read(metadata) else { throw Fault(description: "\(key) vanished while it was read") }
      return known
    }
  }

  private static func read(_ metadata: any MetadataStore) async throws -> UInt64? {
    guard let record = try await metadata.get(key) else { return nil }
    guard let value = UInt64(String(decoding: record.value, as: UTF8.self)) else {
      throw Fault(description: "\(key) in the metadata store is damaged; restore the metadata directory from a copy")
    }
    return value
  }
}

import Foundation

/// Which groups of bookies may hold a ledger; a namespace's isolation. Kept with the ledger, so that ensemble changes and
/// re-replication obey it too.
public struct BookieAffinity: Codable, Hashable, Sendable {
  /// Groups whose bookies are taken first.
  public var primary: [String]
  /// Groups whose bookies are taken too where the primary ones are too few.
  public var secondary: [String]

  /// Makes an affinity.
  public init(primary: [String], secondary: [String] = []) {
    self.primary = primary
    self.secondary = secondary
  }

  /// The key in a ledger's custom metadata.
  static let metadataKey = "meridian/bookie-affinity"

  /// The affinity that a ledger was created with, if any.
  init?(customMetadata: [String: [UInt8]]) {
    guard let bytes = customMetadata[Self.metadataKey],
      let decoded = try? JSONDecoder().decode(Self.self, from: Data(bytes))
    else { return nil }
    self = decoded
  }

  /// Puts it into a ledger's custom metadata.
  func store(in customMetadata: inout [String: [UInt8]]) {
    let encoder = JSONEncoder()
    encoder.outputFormatting = .sortedKeys
    if let bytes = try? encoder.encode(self) { customMetadata[Self.metadataKey] = Array(bytes) }
  }

  /// The bookies that may be taken: those of the primary groups if they are at least `needed`, else those of all groups.
  func candidates(among bookies: [BookieInfo], needed: Int) -> [BookieInfo] {
    let first = bookies.filter { $0.group.map(primary.contains) ?? false }
    guard first.count < needed, !secondary.isEmpty else { return first }
    return first
      + bookies.filter { bookie in
        bookie.group.map { secondary.contains($0) && !primary.contains($0) } ?? false
      }
  }
}

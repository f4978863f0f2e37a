import Foundation
import MetadataStore

/// What the metadata store says of bookies: where each listens, and what operators decided about it.
enum BookieRegistration {
  /// Everything about bookies.
  static let root = "/bookies/"
  /// Bookies that serve; those that serve reads only say so, or are one level deeper as in BookKeeper.
  static let available = "/bookies/available/"
  static let readOnly = "/bookies/available/readonly/"
  /// Bookies being taken out of service.
  static let draining = "/bookies/draining/"
  /// Failure domains and groups that operators set; they go before what a bookie tells itself.
  static let racks = "/bookies/racks/"
  static let cookies = "/bookies/cookies/"
  /// What bookies found to be damaged: `<bookie>/<ledger>` has the numbers of entries: `3,7,10-500`.
  static let damaged = "/bookies/damaged/"

  /// Bookies that may have lost entries and do not know which: `limbo <highest ledger>`, and when all of them have been
  /// compared with their other copies `repaired <highest ledger>`.
  static let limbo = "/bookies/limbo/"

  private struct Value: Decodable {
    var host: String
    var port: Int
    var networkLocation: String?
    var freeDiskBytes: Int64?
    var totalDiskBytes: Int64?
    var readOnly: Bool?
  }

  /// A place that an operator gave a bookie.
  struct Rack: Codable {
    var rack: String?
    var group: String?
  }

  /// The bookie whose registration this is, or nil if it is not one.
  static func parse(_ record: MetadataRecord) -> BookieInfo? {
    let isDeeper = record.key.hasPrefix(readOnly)
    let prefix = isDeeper ? readOnly : available
    guard record.key.hasPrefix(prefix) else { return nil }
    let id = String(record.key.dropFirst(prefix.count))
    guard !id.isEmpty, !id.contains("/"),
      let value = try? JSONDecoder().decode(Value.self, from: Data(record.value))
    else { return nil }
    return BookieInfo(
      id: id, host: value.host, port: value.port, networkLocation: value.networkLocation,
      freeDiskBytes: value.freeDiskBytes, totalDiskBytes: value.totalDiskBytes,
      isReadOnly: isDeeper || value.readOnly == true)
  }

  /// The copies that a record below ``damaged`` names; nil if it makes no sense.
  static func parseDamage(_ record: MetadataRecord) -> (ledger: LedgerID, copies: [SuspectCopies])? {
    guard record.key.hasPrefix(damaged) else { return nil }
    let path = record.key.dropFirst(damaged.count)
    guard let slash = path.lastIndex(of: "/"), let id = LedgerID(path[path.index(after: slash)...]) else { return nil }
    let copies = String(decoding: record.value, as: UTF8.self).split(separator: ",").compactMap { part in
      let bounds = part.split(separator: "-", maxSplits: 1, omittingEmptySubsequences: false).map { EntryID($0) }
      guard let first = bounds.first ?? nil, let last = bounds.last ?? nil, first >= 0, last >= first else {
        return SuspectCopies?.none
      }
      return SuspectCopies(bookie: String(path[..<slash]), first: first, last: last)
    }
    return (id, copies)
  }

  /// The bookie in limbo that a record below ``limbo`` names, and the highest ledger that may be concerned; nil if it names
  /// none, or one that is repaired already.
  static func parseLimbo(_ record: MetadataRecord) -> (bookie: String, through: LedgerID)? {
    guard record.key.hasPrefix(limbo) else { return nil }
    let words = String(decoding: record.value, as: UTF8.self).split(separator: " ")
    guard words.count == 2, words[0] == "limbo", let through = LedgerID(words[1]) else { return nil }
    return (String(record.key.dropFirst(limbo.count)), through)
  }

  /// What the record becomes when all is repaired.
  static func repaired(through: LedgerID) -> [UInt8] { Array("repaired \(through)".utf8) }

  /// Whether the key is one of those that ``readAll(_:onUnreadable:)`` reads.
  static func concerns(_ key: String) -> Bool {
    [available, racks, draining].contains { key.hasPrefix($0) }
  }

  /// All registered bookies, with what operators decided.
  static func readAll(
    _ metadata: any MetadataStore, onUnreadable: (String) -> Void
  ) async throws -> [String: BookieInfo] {
    var found: [String: BookieInfo] = [:]
    for record in try await metadata.list(prefix: available) {
      guard let info = parse(record) else {
        onUnreadable(record.key)
        continue
      }
      // Registered as both while it changes from one to the other: it takes entries only if it is certain.
      if let known = found[info.id], known.isReadOnly { continue }
      found[info.id] = info
    }
    for record in try await metadata.list(prefix: racks) {
      let id = String(record.key.dropFirst(racks.count))
      guard let rack = try? JSONDecoder().decode(Rack.self, from: Data(record.value)) else {
        onUnreadable(record.key)
        continue
      }
      if let location = rack.rack { found[id]?.networkLocation = location }
      found[id]?.group = rack.group
    }
    for key in try await metadata.keys(prefix: draining) {
      found[String(key.dropFirst(draining.count))]?.isDraining = true
    }
    return found
  }
}

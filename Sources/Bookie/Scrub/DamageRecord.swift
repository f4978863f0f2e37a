/// Numbers of damaged entries as the cluster is told of them: `3,7,10-500`.
struct DamageRecord: Equatable {
  /// Most parts of a record: what the metadata store takes is bounded. The rest is told when some of these are repaired.
  static let maximumParts = 10_000
  /// Most numbers that are taken from a record.
  private static let maximumCount = 100_000

  private(set) var text: String

  /// - Parameter entryIDs: in order.
  init(_ entryIDs: [Int64]) {
    var ranges: [ClosedRange<Int64>] = []
    for id in entryIDs {
      if let last = ranges.last, last.upperBound == id - 1 {
        ranges[ranges.count - 1] = last.lowerBound...id
      } else if ranges.count < Self.maximumParts {
        ranges.append(id...id)
      } else {
        break
      }
    }
    text = ranges.map { $0.count == 1 ? "\($0.lowerBound)" : "\($0.lowerBound)-\($0.upperBound)" }
      .joined(separator: ",")
  }

  init(text: String) {
    self.text = text
  }

  /// The numbers; what makes no sense is left out.
  var entryIDs: [Int64] {
    var ids: [Int64] = []
    for part in text.split(separator: ",") {
      let bounds = part.split(separator: "-", maxSplits: 1, omittingEmptySubsequences: false).map { Int64($0) }
      guard let first = bounds.first ?? nil, let last = bounds.last ?? nil, first >= 0, last >= first else { continue }
      let room = Int64(Self.maximumCount - ids.count)
      guard room > 0 else { break }
      ids += first...(first + min(last - first, room - 1))
    }
    return ids
  }
}

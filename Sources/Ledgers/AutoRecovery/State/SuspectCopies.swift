/// Copies of entries that a bookie should have, and may not have or may have damaged. They are looked at before they are
/// copied: a range may name more than what is missing.
public struct SuspectCopies: Codable, Hashable, Sendable {
  /// The bookie that metadata names.
  public var bookie: String
  /// The first entry that is in doubt.
  public var first: EntryID
  /// The last entry that is in doubt.
  public var last: EntryID

  /// Makes a range of copies in doubt.
  public init(bookie: String, first: EntryID, last: EntryID) {
    self.bookie = bookie
    self.first = first
    self.last = last
  }

  /// Sorted, with ranges of one bookie that touch or nearly touch joined; ranges are joined over any gap where there are
  /// more than `limit`, which costs looking at more entries and loses nothing.
  static func merged(_ copies: [SuspectCopies], limit: Int = 256) -> [SuspectCopies] {
    var gap: EntryID = 64
    while true {
      let joined = join(copies, gap: gap)
      if joined.count <= limit || gap == EntryID.max / 4 { return joined }
      gap = gap > EntryID.max / 64 ? EntryID.max / 4 : gap * 16
    }
  }

  private static func join(_ copies: [SuspectCopies], gap: EntryID) -> [SuspectCopies] {
    var result: [SuspectCopies] = []
    for copy in copies.sorted(by: { ($0.bookie, $0.first, $0.last) < ($1.bookie, $1.first, $1.last) }) {
      if let last = result.last, last.bookie == copy.bookie,
        copy.first.subtractingReportingOverflow(last.last).partialValue <= gap
      {
        result[result.count - 1].last = max(last.last, copy.last)
      } else {
        result.append(copy)
      }
    }
    return result
  }
}

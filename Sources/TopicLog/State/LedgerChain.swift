/// When a ledger is full, in the units of `TopicLogConfiguration`.
struct RolloverRules: Sendable {
  var maxEntries: Int64
  var maxSize: Int64
  var minimumAgeMs: Int64
  var maximumAgeMs: Int64

  /// What the fill of a ledger asks for.
  enum Need: Equatable, Sendable {
    case nothing
    /// The end is near: have the next ledger ready.
    case prepare
    /// Move to the next ledger as soon as it is ready.
    case roll
  }

  func need(entries: Int64, size: Int64, ageMs: Int64) -> Need {
    guard entries > 0 else { return .nothing }
    if ageMs >= maximumAgeMs { return .roll }
    let isOldEnough = ageMs >= minimumAgeMs
    if isOldEnough, entries >= maxEntries || size >= maxSize { return .roll }
    let isNearlyOldEnough = ageMs >= minimumAgeMs - minimumAgeMs / 10
    let isNearlyFull = entries >= maxEntries - maxEntries / 10 || size >= maxSize - maxSize / 10
    return isNearlyOldEnough && isNearlyFull ? .prepare : .nothing
  }
}

/// What keeps entries that every cursor has passed; nil means without limit.
struct RetentionRules: Sendable, Equatable {
  var timeMs: Int64?
  var size: Int64?
}

/// The ledgers of a topic in order, and all arithmetic on positions.
///
/// Holds confirmed entries only. Each ledger's entries are contiguous from 0.
struct LedgerChain: Sendable {
  /// One ledger of the chain.
  struct Segment: Hashable, Sendable {
    let ledgerID: Int64
    var entries: Int64
    var size: Int64
    let createdAtMs: Int64
    /// 0 while the ledger is not known to be closed in its own metadata.
    var closedAtMs: Int64
    /// Entries and bytes before this segment, counted from an arbitrary origin that stays fixed for the chain.
    fileprivate(set) var entriesBefore: Int64 = 0
    fileprivate(set) var sizeBefore: Int64 = 0

    init(ledgerID: Int64, entries: Int64 = 0, size: Int64 = 0, createdAtMs: Int64, closedAtMs: Int64 = 0) {
      self.ledgerID = ledgerID
      self.entries = entries
      self.size = size
      self.createdAtMs = createdAtMs
      self.closedAtMs = closedAtMs
    }

    var lastPosition: Position { Position(ledgerID: ledgerID, entryID: entries - 1) }
  }

  /// In the order of their ids. Only the last one grows.
  private(set) var segments: [Segment] = []
  /// The last entry of the last ledger that was trimmed; `earliest` if none was.
  private(set) var trimmedThrough: Position

  init(segments: [Segment] = [], trimmedThrough: Position = .earliest) {
    self.trimmedThrough = trimmedThrough
    for segment in segments { append(segment) }
  }

  // MARK: Change

  /// Adds a ledger at the end; its id must be greater than that of the last one.
  mutating func append(_ segment: Segment) {
    precondition(segments.last.map { $0.ledgerID < segment.ledgerID } ?? true, "ledger ids of a topic must grow")
    var segment = segment
    if let last = segments.last {
      segment.entriesBefore = last.entriesBefore + last.entries
      segment.sizeBefore = last.sizeBefore + last.size
    }
    segments.append(segment)
  }

  /// Counts one more confirmed entry in the last ledger; returns its position and the ledger's length with it.
  @inline(__always)
  mutating func confirm(size: Int) -> (position: Position, length: Int64) {
    let index = segments.count - 1
    let position = Position(ledgerID: segments[index].ledgerID, entryID: segments[index].entries)
    segments[index].entries += 1
    segments[index].size += Int64(size)
    return (position, segments[index].size)
  }

  /// Notes that a ledger is closed for good.
  mutating func markClosed(_ ledgerID: Int64, atMs: Int64) {
    guard let index = index(of: ledgerID) else { return }
    segments[index].closedAtMs = max(1, atMs)
  }

  /// Takes a closed ledger without entries out.
  mutating func removeEmpty(_ ledgerID: Int64) {
    guard let index = index(of: ledgerID), segments[index].entries == 0 else { return }
    segments.remove(at: index)
  }

  /// Takes the given ledgers, which must be the first ones, out.
  mutating func trim(_ ledgerIDs: [Int64]) {
    for id in ledgerIDs {
      guard let first = segments.first, first.ledgerID == id else { return }
      if first.entries > 0 { trimmedThrough = first.lastPosition }
      segments.removeFirst()
    }
  }

  // MARK: Totals

  var totalEntries: Int64 { endOrdinal - startOrdinal }
  var totalSize: Int64 {
    guard let first = segments.first, let last = segments.last else { return 0 }
    return last.sizeBefore + last.size - first.sizeBefore
  }

  /// The last confirmed entry, also when it was trimmed; `earliest` if there never was one.
  var lastConfirmed: Position {
    for segment in segments.reversed() where segment.entries > 0 { return segment.lastPosition }
    return trimmedThrough
  }

  /// The first entry that exists.
  var firstPosition: Position? { first(atOrAfter: .earliest) }

  private var startOrdinal: Int64 { segments.first?.entriesBefore ?? 0 }
  private var endOrdinal: Int64 { segments.last.map { $0.entriesBefore + $0.entries } ?? 0 }

  // MARK: Search

  /// The index of the last segment whose id is not greater than `ledgerID`.
  private func floorIndex(_ ledgerID: Int64) -> Int? {
    // Nearly every question is about the end of the log.
    if let last = segments.last, last.ledgerID <= ledgerID { return segments.count - 1 }
    var low = 0
    var high = segments.count
    while low < high {
      let middle = (low + high) / 2
      if segments[middle].ledgerID <= ledgerID { low = middle + 1 } else { high = middle }
    }
    return low == 0 ? nil : low - 1
  }

  private func index(of ledgerID: Int64) -> Int? {
    guard let index = floorIndex(ledgerID), segments[index].ledgerID == ledgerID else { return nil }
    return index
  }

  /// The segment of a ledger, or nil if it is not in the chain.
  func segment(_ ledgerID: Int64) -> Segment? { index(of: ledgerID).map { segments[$0] } }

  /// Whether the entry exists.
  func contains(_ position: Position) -> Bool {
    guard position.entryID >= 0, let index = index(of: position.ledgerID) else { return false }
    return position.entryID < segments[index].entries
  }

  /// The first existing entry that is not before `position`.
  func first(atOrAfter position: Position) -> Position? {
    var index = 0
    if let floor = floorIndex(position.ledgerID) {
      index = floor + 1
      let entry = max(0, position.entryID)
      if segments[floor].ledgerID == position.ledgerID, entry < segments[floor].entries {
        return Position(ledgerID: position.ledgerID, entryID: entry)
      }
    }
    while index < segments.count {
      if segments[index].entries > 0 { return Position(ledgerID: segments[index].ledgerID, entryID: 0) }
      index += 1
    }
    return nil
  }

  /// The first existing entry behind `position`.
  func first(after position: Position) -> Position? {
    guard position.entryID < .max else {
      return position.ledgerID < .max ? first(atOrAfter: Position(ledgerID: position.ledgerID + 1, entryID: 0)) : nil
    }
    return first(atOrAfter: Position(ledgerID: position.ledgerID, entryID: position.entryID + 1))
  }

  /// The last existing entry that is not behind `position`.
  func last(atOrBefore position: Position) -> Position? {
    guard var index = floorIndex(position.ledgerID) else { return nil }
    if segments[index].ledgerID == position.ledgerID {
      let entry = min(position.entryID, segments[index].entries - 1)
      if entry >= 0 { return Position(ledgerID: position.ledgerID, entryID: entry) }
      index -= 1
    }
    while index >= 0 {
      if segments[index].entries > 0 { return segments[index].lastPosition }
      index -= 1
    }
    return nil
  }

  /// The position that follows: the next entry that exists, or else the first at which the next append can be.
  func next(after position: Position) -> Position {
    if let next = first(after: position) { return next }
    guard position < .latest else { return position }
    if let last = segments.last, last.ledgerID > position.ledgerID {
      return Position(ledgerID: last.ledgerID, entryID: last.entries)
    }
    return position == .earliest
      ? Position(ledgerID: -1, entryID: 0)
      : Position(ledgerID: position.ledgerID, entryID: position.entryID == .max ? .max : position.entryID + 1)
  }

  // MARK: Counting

  /// Entries that exist before `position`, counted from the chain's origin.
  private func ordinal(before position: Position) -> Int64 {
    guard let index = floorIndex(position.ledgerID) else { return startOrdinal }
    let segment = segments[index]
    guard segment.ledgerID == position.ledgerID else { return segment.entriesBefore + segment.entries }
    return segment.entriesBefore + min(max(0, position.entryID), segment.entries)
  }

  private func ordinal(through position: Position) -> Int64 {
    position.entryID == .max
      ? ordinal(before: position)
      : ordinal(before: Position(ledgerID: position.ledgerID, entryID: position.entryID + 1))
  }

  /// Entries from `from` through `through`, both inclusive.
  func entryCount(from: Position, through: Position) -> Int64 {
    max(0, ordinal(through: through) - ordinal(before: from))
  }

  /// Entries behind `position`.
  func entryCount(after position: Position) -> Int64 { endOrdinal - ordinal(through: position) }

  /// Bytes from `from` (inclusive) to the end: exact at ledger borders, by the mean entry size of its ledger within one.
  func size(from: Position) -> Int64 {
    guard let last = segments.last else { return 0 }
    let end = last.sizeBefore + last.size
    guard let index = floorIndex(from.ledgerID) else { return totalSize }
    let segment = segments[index]
    guard segment.ledgerID == from.ledgerID, segment.entries > 0 else {
      return end - segment.sizeBefore - (segment.ledgerID == from.ledgerID ? 0 : segment.size)
    }
    let skipped = min(max(0, from.entryID), segment.entries)
    let skippedSize = Int64((Double(segment.size) * Double(skipped) / Double(segment.entries)).rounded(.down))
    return end - segment.sizeBefore - skippedSize
  }

  /// The existing entry with `index` entries before it, or nil.
  func position(atIndex index: Int64) -> Position? {
    guard index >= 0, index < totalEntries else { return nil }
    let target = startOrdinal + index
    var low = 0
    var high = segments.count
    while low < high {
      let middle = (low + high) / 2
      if segments[middle].entriesBefore <= target { low = middle + 1 } else { high = middle }
    }
    // Empty segments share their start with the next one: the last segment that starts at or before the target has it.
    let segment = segments[low - 1]
    return Position(ledgerID: segment.ledgerID, entryID: target - segment.entriesBefore)
  }

  /// How many entries exist before `position`.
  func index(of position: Position) -> Int64 { ordinal(before: position) - startOrdinal }

  // MARK: Trimming

  /// The ledgers that can go: closed ones from the front that every cursor passed and that retention gives up.
  /// - Parameters:
  ///   - acknowledged: everything up to here is durably acknowledged by every cursor.
  ///   - floor: nothing at or behind it goes.
  func trimmable(
    acknowledged: Position, floor: Position?, retention: RetentionRules, nowMs: Int64
  ) -> [Int64] {
    var ids: [Int64] = []
    var remaining = totalSize
    for segment in segments {
      guard segment.closedAtMs > 0, segment.lastPosition <= acknowledged else { break }
      if let floor, segment.lastPosition >= floor { break }
      remaining -= segment.size
      let isTooOld = retention.timeMs.map { nowMs - segment.closedAtMs >= $0 } ?? false
      let isTooMuch = retention.size.map { remaining >= $0 } ?? false
      guard isTooOld || isTooMuch else { break }
      ids.append(segment.ledgerID)
    }
    return ids
  }
}

/// How far verification is, as the index has it across restarts: `begin 8 | ledger 8 entry 8, while a round goes on`.
struct ScrubRecord: Equatable, Sendable {
  /// When the last round began, in milliseconds since 1970.
  var beginMs: Int64
  /// Where the round goes on; nil if it is done.
  var place: LocationPlace?

  func encoded() -> [UInt8] {
    let numbers = [beginMs] + (place.map { [$0.ledgerID, $0.entryID] } ?? [])
    return numbers.flatMap { number in withUnsafeBytes(of: number.bigEndian) { Array($0) } }
  }

  /// Nil if the bytes make no sense.
  static func decode(_ bytes: [UInt8]) -> ScrubRecord? {
    bytes.withUnsafeBytes { bytes in
      guard bytes.count == 8 || bytes.count == 24 else { return nil }
      let begin = bytes.bigEndian(at: 0, as: Int64.self)
      guard bytes.count == 24 else { return ScrubRecord(beginMs: begin) }
      let ledgerID = bytes.bigEndian(at: 8, as: Int64.self)
      let entryID = bytes.bigEndian(at: 16, as: Int64.self)
      guard ledgerID >= 0, entryID >= 0 else { return nil }
      return ScrubRecord(beginMs: begin, place: LocationPlace(ledgerID: ledgerID, entryID: entryID))
    }
  }

  /// Milliseconds until the next round begins: a clock that was set does not put it off for longer than the interval.
  func pause(intervalMs: Int64, nowMs: Int64) -> Int64 {
    let (due, overflow) = beginMs.addingReportingOverflow(intervalMs)
    guard !overflow, due > nowMs else { return 0 }
    let (pause, isLarge) = due.subtractingReportingOverflow(nowMs)
    return isLarge ? intervalMs : min(pause, intervalMs)
  }
}

import NIOCore

/// Which life of which region an entry was first published in: the key of a watermark.
public struct OriginKey: Hashable, Sendable, CustomStringConvertible {
  /// The region's name.
  public var region: String
  /// The region's incarnation; 0 for a Pulsar cluster, which has none.
  public var incarnation: UInt64

  /// A key of its two parts.
  public init(region: String, incarnation: UInt64) {
    self.region = region
    self.incarnation = incarnation
  }

  /// `region#incarnation`.
  public var description: String { "\(region)#\(incarnation)" }
}

/// A position in an origin's log of the same topic partition.
public struct OriginPosition: Hashable, Comparable, Sendable, CustomStringConvertible {
  /// The origin's ledger.
  public var ledgerID: Int64
  /// The entry in that ledger.
  public var entryID: Int64

  /// Before everything: what the first entry follows.
  public static let none = OriginPosition(ledgerID: -1, entryID: -1)

  /// A position of its two parts.
  public init(ledgerID: Int64, entryID: Int64) {
    self.ledgerID = ledgerID
    self.entryID = entryID
  }

  /// By ledger, then by entry.
  public static func < (a: OriginPosition, b: OriginPosition) -> Bool {
    a.ledgerID == b.ledgerID ? a.entryID < b.entryID : a.ledgerID < b.ledgerID
  }

  /// `ledger:entry`.
  public var description: String { "\(ledgerID):\(entryID)" }
}

/// How far each origin's entries of a topic partition are stored here, without a gap.
///
/// An entry names the one its origin sent before it. It is stored only if that one is this watermark: an entry that is
/// lost, refused or re-ordered on the way stops the stream instead of leaving a hole. Watermarks move when the log
/// confirms, and can be rebuilt from the log alone.
///
/// A Pulsar cluster sends no chain, only growing positions: there, `pushIncreasing` is all that can be checked.
///
/// Events in, verdicts out: no clock, no I/O. The order of calls is the order of the log.
struct OriginWatermarks: Sendable {
  enum Verdict: Hashable, Sendable {
    /// The next one: store it; the pushed mark has been moved.
    case store
    /// Stored before: confirm it without storing.
    case stored
    /// On its way to storage: it will be confirmed with the watermark.
    case inFlight
    /// Not the next one; `expected` is what the next one would follow.
    case refused(expected: OriginPosition)
  }

  private struct Marks: Hashable, Sendable {
    var pushed: OriginPosition
    var persisted: OriginPosition
  }

  private var marks: [OriginKey: Marks] = [:]

  init() {}

  /// Every origin seen and how far it is stored.
  var persisted: [OriginKey: OriginPosition] { marks.mapValues(\.persisted) }

  /// How far `key` is stored; `.none` if it never sent anything.
  func watermark(_ key: OriginKey) -> OriginPosition { marks[key]?.persisted ?? .none }

  /// Judges an entry of a chain before it is stored.
  mutating func push(_ key: OriginKey, _ position: OriginPosition, previous: OriginPosition) -> Verdict {
    let known = marks[key] ?? Marks(pushed: .none, persisted: .none)
    if position <= known.persisted { return .stored }
    if position <= known.pushed { return .inFlight }
    guard previous == known.pushed, position > .none else { return .refused(expected: known.pushed) }
    marks[key, default: known].pushed = position
    return .store
  }

  /// Judges an entry of an origin whose positions only grow.
  mutating func pushIncreasing(_ key: OriginKey, _ position: OriginPosition) -> Verdict {
    let known = marks[key] ?? Marks(pushed: .none, persisted: .none)
    if position <= known.persisted { return .stored }
    if position <= known.pushed { return .inFlight }
    marks[key, default: known].pushed = position
    return .store
  }

  /// The entry is stored.
  mutating func persist(_ key: OriginKey, _ position: OriginPosition) {
    var known = marks[key] ?? Marks(pushed: position, persisted: .none)
    known.persisted = max(known.persisted, position)
    known.pushed = max(known.pushed, position)
    marks[key] = known
  }

  /// Nothing is in flight any more and something failed: what is not stored has not been sent.
  mutating func forgetUnpersisted() {
    marks = marks.compactMapValues { known in
      known.persisted == .none ? nil : Marks(pushed: known.persisted, persisted: known.persisted)
    }
  }

  // MARK: Snapshot

  /// Appends what is persisted to `buffer`.
  func encode(into buffer: inout ByteBuffer) {
    let stored = marks.filter { $0.value.persisted > .none }
    buffer.writeInteger(UInt32(stored.count))
    for (key, marks) in stored.sorted(by: { $0.key.description < $1.key.description }) {
      let bytes = key.region.utf8.prefix(Int(UInt16.max))
      buffer.writeInteger(UInt16(bytes.count))
      buffer.writeBytes(bytes)
      buffer.writeInteger(key.incarnation)
      buffer.writeInteger(marks.persisted.ledgerID)
      buffer.writeInteger(marks.persisted.entryID)
    }
  }

  /// Reads what ``encode(into:)`` wrote; nil if it is damaged.
  init?(decoding buffer: inout ByteBuffer) {
    guard let count = buffer.readInteger(as: UInt32.self) else { return nil }
    for _ in 0..<count {
      guard let length = buffer.readInteger(as: UInt16.self), let region = buffer.readString(length: Int(length)),
        let incarnation = buffer.readInteger(as: UInt64.self), let ledger = buffer.readInteger(as: Int64.self),
        let entry = buffer.readInteger(as: Int64.self)
      else { return nil }
      let position = OriginPosition(ledgerID: ledger, entryID: entry)
      marks[OriginKey(region: region, incarnation: incarnation)] = Marks(pushed: position, persisted: position)
    }
  }
}

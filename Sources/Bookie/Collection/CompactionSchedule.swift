import NIOCore

/// How much a compaction takes on.
public enum CompactionKind: String, Sendable, CaseIterable {
  /// Logs that are nearly empty, often.
  case minor
  /// Logs that are partly empty, rarely.
  case major
}

/// Decides when which compaction runs, and on which logs.
struct CompactionSchedule {
  /// What one kind of compaction is set to.
  struct Settings {
    /// Logs of which a smaller share is alive are compacted; 0 turns it off.
    var threshold: Double
    var interval: TimeAmount
  }

  enum Decision: Equatable {
    case run(CompactionKind)
    /// Nothing is due before then; nil if never.
    case wait(until: NIODeadline?)
  }

  private let settings: [CompactionKind: Settings]
  private let isForced: Bool
  private var due: [CompactionKind: NIODeadline] = [:]
  private var triggered: Set<CompactionKind> = []
  private(set) var suspended: Set<CompactionKind> = []

  /// - Parameter isForced: whether it goes on while a disk is full.
  init(minor: Settings, major: Settings, isForced: Bool, now: NIODeadline) {
    settings = [.minor: minor, .major: major]
    self.isForced = isForced
    for kind in CompactionKind.allCases { due[kind] = now + (settings[kind]?.interval ?? .zero) }
  }

  func threshold(_ kind: CompactionKind) -> Double { settings[kind]?.threshold ?? 0 }

  /// What to do now, while the ledger directories are as full as `level`: a copy needs space before it frees any.
  func next(now: NIODeadline, level: DiskLevel) -> Decision {
    for kind in [CompactionKind.major, .minor] where triggered.contains(kind) && !suspended.contains(kind) {
      return .run(kind)
    }
    var next: NIODeadline?
    for kind in [CompactionKind.major, .minor] {
      guard threshold(kind) > 0, (settings[kind]?.interval ?? .zero) > .zero, !suspended.contains(kind),
        let at = due[kind]
      else { continue }
      let limit: DiskLevel = kind == .major ? .full : .hard
      guard isForced || level < limit else { continue }
      if at <= now { return .run(kind) }
      next = next.map { min($0, at) } ?? at
    }
    return .wait(until: next)
  }

  /// An operator wants one now.
  mutating func trigger(_ kind: CompactionKind) {
    triggered.insert(kind)
  }

  mutating func suspend(_ kind: CompactionKind, _ isSuspended: Bool) {
    if isSuspended { suspended.insert(kind) } else { suspended.remove(kind) }
  }

  /// A compaction ended. A major one does the work of a minor one too.
  mutating func finished(_ kind: CompactionKind, now: NIODeadline) {
    for done in kind == .major ? CompactionKind.allCases : [.minor] {
      triggered.remove(done)
      due[done] = now + (settings[done]?.interval ?? .zero)
    }
  }

  /// The logs to compact, the emptiest first.
  /// - Parameter logs: for each complete log the bytes that are alive and the bytes of its file.
  static func candidates(_ logs: [UInt32: (live: Int64, size: Int64)], threshold: Double) -> [UInt32] {
    logs.filter { $0.value.size > 0 && Double($0.value.live) < threshold * Double($0.value.size) }
      .sorted { first, second in
        let shares = [first, second].map { Double($0.value.live) / Double($0.value.size) }
        return (shares[0], first.key) < (shares[1], second.key)
      }
      .map(\.key)
  }
}

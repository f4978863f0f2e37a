/// How full a directory's file system is.
public enum DiskLevel: Int, Sendable, Comparable {
  /// Below every threshold.
  case ok
  /// An operator should make space.
  case warn
  /// Ordinary adds are refused; reads, fences and recovery go on.
  case full
  /// Recovery writes are refused as well.
  case hard

  /// In order of fullness.
  public static func < (first: DiskLevel, second: DiskLevel) -> Bool { first.rawValue < second.rawValue }
}

/// Decides from the usage of each directory what a bookie may still write.
struct DiskWatch {
  /// Shares of a file system, 0 to 1.
  struct Thresholds: Sendable, Equatable {
    var warn: Double
    var full: Double
    /// A full directory is usable again below this.
    var lowWater: Double
    var hard: Double
  }

  /// What a bookie accepts.
  enum Mode: Int, Sendable, Equatable {
    case writable
    /// Reads, fences and recovery writes.
    case readOnly
    /// Reads and fences.
    case noWrites
  }

  private let thresholds: Thresholds
  private let journals: [String]
  private let ledgers: [String]
  private let isAnyEnough: Bool
  private(set) var levels: [String: DiskLevel] = [:]
  /// Whether an operator wants it read-only.
  private(set) var isForced = false

  /// - Parameter isAnyEnough: whether one full ledger directory makes the bookie read-only, or only all of them.
  init(thresholds: Thresholds, journals: [String], ledgers: [String], isAnyEnough: Bool) {
    self.thresholds = thresholds
    self.journals = journals
    self.ledgers = ledgers
    self.isAnyEnough = isAnyEnough
  }

  /// What may be written now.
  var mode: Mode {
    // The index and the marks are in the first ledger directory: without them nothing can be flushed.
    let needed = journals + ledgers.prefix(1)
    if needed.contains(where: { level($0) == .hard }) || ledgers.allSatisfy({ level($0) == .hard }) { return .noWrites }
    if isForced || needed.contains(where: { level($0) >= .full }) { return .readOnly }
    let full = ledgers.count { level($0) >= .full }
    return full > 0 && (isAnyEnough || full == ledgers.count) ? .readOnly : .writable
  }

  /// The ledger directories in which no new log should begin.
  var fullLedgerDirectories: Set<String> { Set(ledgers.filter { level($0) >= .full }) }

  /// The fullest of the ledger directories.
  var highestLedgerLevel: DiskLevel { ledgers.map(level).max() ?? .ok }

  func level(_ directory: String) -> DiskLevel { levels[directory] ?? .ok }

  /// The usage of a directory was looked at. Returns its level if that changed.
  mutating func observe(_ directory: String, usage: Double) -> DiskLevel? {
    let before = level(directory)
    let after: DiskLevel
    if usage >= thresholds.hard {
      after = .hard
    } else if usage >= thresholds.full || (before >= .full && usage >= thresholds.lowWater) {
      after = .full
    } else {
      after = usage >= thresholds.warn ? .warn : .ok
    }
    levels[directory] = after
    return after == before ? nil : after
  }

  /// A write met a full disk: the directory is full until it is looked at again. Returns whether that is news.
  mutating func ranOut(_ directory: String) -> Bool {
    guard level(directory) < .full else { return false }
    levels[directory] = .full
    return true
  }

  /// An operator makes the bookie read-only, or lets the disks decide again.
  mutating func force(_ isReadOnly: Bool) {
    isForced = isReadOnly
  }
}

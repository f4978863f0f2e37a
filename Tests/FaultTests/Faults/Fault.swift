/// What is done to the processes and their disks.
enum Fault: String, CaseIterable, Sendable {
  /// SIGKILL, and a start after a while.
  case kill
  /// SIGTERM, and a start after a while.
  case terminate
  /// SIGSTOP, SIGCONT after a while.
  case pause
  /// Each sync of its disk takes long for a while.
  case slow
  /// Its disk is full for a while.
  case fullDisk
  /// Killed, and started again with flipped bits in its journal.
  case flippedJournal
  /// The same in an entry log.
  case flippedEntryLog
  /// The same in the location index.
  case flippedIndex
  /// The metadata store is killed and started again.
  case metadataKill

  /// Whether bytes on a disk are changed.
  var isDamage: Bool {
    switch self {
    case .flippedJournal, .flippedEntryLog, .flippedIndex: true
    default: false
    }
  }

  /// Drawn so often, relative to the others.
  var weight: Int {
    switch self {
    case .kill: 8
    case .pause, .slow: 3
    case .terminate, .fullDisk: 2
    case .flippedJournal, .flippedEntryLog, .flippedIndex, .metadataKill: 1
    }
  }

  /// One of them, by weight.
  static func draw(_ random: inout SeededRandom, among faults: [Fault]) -> Fault {
    var left = random.below(faults.reduce(0) { $0 + $1.weight })
    for fault in faults {
      left -= fault.weight
      if left < 0 { return fault }
    }
    return .kill
  }
}

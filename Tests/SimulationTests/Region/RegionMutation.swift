extension RegionSimulation {
  /// Deliberate mistakes, to prove that the checks find them.
  enum Mutation: String, CaseIterable, Sendable {
    // Bookies
    case acknowledgedBeforeSync, fenceNotDurable, negativeAnswerBeforeFence, limboIsNegative, damageIsNegative
    case wipedBookieStartsAsNew, foreignDiskIsTaken, garbageByListing
    // Writers
    case acknowledgedBelowAckQuorum, generationsIgnored, segmentStartsLate, confirmedMovesWhileSegmentStarts
    case noCompareAndSet, missingCopiesAreNotReported, marksComeLate
    // Recoveries
    case recoveryReadsDoNotFence, silenceIsNegative, doubtIsNegative, recoveryStartsBelowSegment
    // Repairs
    case repairNamesBeforeItCopies, repairSkipsWhatItCannotRead

    /// The first of the seeds that are tried; one near by finds it.
    var firstSeed: UInt64 {
      switch self {
      case .negativeAnswerBeforeFence: 75
      case .generationsIgnored: 40
      case .foreignDiskIsTaken: 20
      case .repairSkipsWhatItCannotRead: 510
      case .marksComeLate: 155
      default: 0
      }
    }
  }

  /// Makes the mistakes that a bookie's parts can make.
  func make(_ mutation: Mutation, in server: SimulatedServer) {
    switch mutation {
    case .acknowledgedBeforeSync: server.bookie.disk.lies = .journalSync
    case .fenceNotDurable: server.bookie.mistakes.answersBeforeFence = true
    case .negativeAnswerBeforeFence: server.bookie.mistakes.deniesBeforeFence = true
    case .limboIsNegative: server.bookie.mistakes.limboIsNegative = true
    case .damageIsNegative: server.bookie.mistakes.damageIsNegative = true
    case .wipedBookieStartsAsNew, .foreignDiskIsTaken: server.bookie.mistakes.ignoresIdentity = true
    default: break
    }
  }
}

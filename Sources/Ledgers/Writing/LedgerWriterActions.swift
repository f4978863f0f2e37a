/// What a ``LedgerWriter`` asks for, and what it is told.
extension LedgerWriter {
  enum Action: Equatable {
    /// Send the entry to the bookie at `slot`; the answer must name the generation.
    case send(EntryID, slot: Int, generation: UInt32)
    /// All entries up to this one are written.
    case confirm(through: EntryID)
    /// Find replacements, record the segment, then call `ensembleChanged` or `ensembleChangeFailed`.
    case changeEnsemble(EnsembleChange)
    /// Places have had no bookie for a while: call `lookAgain` when there are others.
    case lookForBookies
    /// All entries from this one on have failed, and all later ones will.
    case fail(from: EntryID, LedgerError)
    /// Confirmed entries of which a bookie may not have its copy.
    case incomplete(SuspectCopies)
  }

  struct EnsembleChange: Equatable {
    /// The first entry of the new segment.
    var firstEntry: EntryID
    /// The ensemble as it is.
    var ensemble: [String]
    /// The places in need of another bookie.
    var slots: [Int]
    /// Those of them for which none was found before.
    var vacant: [Int] = []
  }

  /// Why an add failed on a bookie.
  enum Failure: Equatable {
    /// Another client fenced the ledger: nothing more can be written.
    case fenced
    /// The key is wrong.
    case unauthorized
    /// This bookie cannot take it; another could.
    case bookie
  }

  /// When an entry counts as written.
  enum Confirmation {
    /// At its ack quorum.
    case ackQuorum
    /// At its ack quorum and when no reachable bookie of its write set is missing: recovery leaves full copies behind.
    case everyReachable
  }
}

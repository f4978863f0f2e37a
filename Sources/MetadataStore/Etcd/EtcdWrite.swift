/// Decides what became of one change, so that it is made exactly once and its answer is the truth, however many answers
/// are lost.
///
/// With the change, one transaction puts a *marker*: a key of this client that only this change uses meanwhile. The
/// transaction demands that the marker is as it was. So a repetition of a change that was made does nothing, and finds the
/// marker's new revision, which is the change's. When a repetition finds that neither the change was made nor its condition
/// holds, the marker is put once more by itself: attempts that are still on their way then cannot come true later.
struct EtcdWrite {
  /// The marker, as a refused transaction found it.
  struct Marker: Equatable {
    /// The revision of its last change.
    var revision: Int64
    /// Whether it was put by a change, and not to end one.
    var isOfChange: Bool
  }

  /// What came of one attempt.
  enum Answer {
    /// The transaction was carried out with the given revision.
    case done(revision: Int64)
    /// It was not; this is the marker (nil: there is none).
    case refused(Marker?)
    /// It was not, because the markers' lease has ended.
    case sessionEnded
    /// No answer.
    case lost
  }

  /// What to do next.
  enum Step: Equatable {
    /// Try to make the change.
    case change
    /// Put the marker alone.
    case settle
    /// The change was made, with this revision.
    case made(revision: Int64)
    /// It was not and will not be made: its condition does not hold.
    case mismatch
    /// It was not made, because the markers of this client are gone; begin anew with new ones.
    case sessionLost
    /// Nobody can tell.
    case unknown
  }

  /// The marker's revision, by which the next attempt is conditional; 0: there is none yet.
  private(set) var markerRevision: Int64
  /// Whether an answer was lost.
  private(set) var isUncertain = false
  private(set) var step = Step.change

  init(markerRevision: Int64) {
    self.markerRevision = markerRevision
  }

  /// Takes the answer to an attempt at `step`, and moves on.
  mutating func receive(_ answer: Answer) {
    switch answer {
    case .lost:
      isUncertain = true
    case .done(let revision):
      markerRevision = revision
      step = step == .settle ? .mismatch : .made(revision: revision)
    case .sessionEnded:
      step = isUncertain ? .unknown : .sessionLost
    case .refused(nil) where markerRevision != 0:
      step = isUncertain ? .unknown : .sessionLost
    case .refused(let marker):
      let found = marker?.revision ?? 0
      guard found == markerRevision else {
        markerRevision = found
        step = marker?.isOfChange == true ? .made(revision: found) : .mismatch
        return
      }
      // Not even another's change can do that to an unconditional transaction.
      step = step == .settle ? .unknown : isUncertain ? .settle : .mismatch
    }
  }
}

/// Where a new cursor starts.
public enum InitialPosition: Hashable, Sendable {
  /// At the first entry that exists.
  case earliest
  /// Behind the last entry.
  case latest
  /// With this position as the next one to be delivered.
  case at(Position)
}

/// What an individual acknowledgement did.
public enum AckOutcome: Hashable, Sendable {
  /// The entry is now acknowledged as a whole.
  case entryComplete
  /// Some messages of the entry's batch are still to be acknowledged.
  case partial
  /// The entry was acknowledged before, or does not exist: nothing changed.
  case alreadyAcknowledged
}

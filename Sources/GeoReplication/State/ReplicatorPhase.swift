/// What a replicator is doing, as shown to people.
public enum ReplicatorPhase: String, Codable, Sendable, CaseIterable {
  /// Not started, or told to stop.
  case stopped
  /// Waits for the link or for the remote to open its stream.
  case connecting
  /// Sends entries.
  case streaming
  /// Waits for the remote to register a schema; nothing overtakes the entry that needs it.
  case waitingForSchema
  /// Failed, and tries again later.
  case backingOff
}

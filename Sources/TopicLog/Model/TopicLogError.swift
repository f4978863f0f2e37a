/// Why an operation on a topic's log or cursor failed.
public enum TopicLogError: Error, Equatable, Sendable, CustomStringConvertible {
  /// Another broker took the topic over. This log is closed for good; clients must look the topic up again.
  case fenced(topic: String)
  /// The log was closed, or is being closed.
  case closed(topic: String)
  /// The topic was terminated: it takes no more entries.
  case terminated(topic: String)
  /// The topic was deleted, or is being deleted.
  case deleted(topic: String)
  /// No ledger can be written at the moment. Nothing of the failed entries was stored; try again later.
  case noWritableLedger(topic: String, reason: String)
  /// Entries were sent to a ledger that could not be closed: whether they are stored is open until the topic is opened
  /// again. The log is closed, so that no later entry overtakes them.
  case appendUndecided(topic: String, reason: String)
  /// Entries could not be read.
  case readFailed(topic: String, reason: String)
  /// The metadata store failed, or holds a record that cannot be understood.
  case metadata(topic: String, reason: String)
  /// A cursor's state could not be saved or read.
  case cursor(topic: String, cursor: String, reason: String)
  /// No cursor has this name.
  case noSuchCursor(topic: String, cursor: String)

  /// One sentence for logs and clients.
  public var description: String {
    switch self {
    case .fenced(let topic): "topic log \(topic) was taken over by another broker; look the topic up again"
    case .closed(let topic): "topic log \(topic) is closed; open it again"
    case .terminated(let topic): "topic \(topic) was terminated and takes no more messages"
    case .deleted(let topic): "topic \(topic) was deleted"
    case .noWritableLedger(let topic, let reason):
      "topic log \(topic) has no ledger to write to, try again later: \(reason)"
    case .appendUndecided(let topic, let reason):
      "topic log \(topic) closed with entries of unknown fate, open it again: \(reason)"
    case .readFailed(let topic, let reason): "topic log \(topic) could not be read, try again: \(reason)"
    case .metadata(let topic, let reason): "the metadata of topic log \(topic) could not be read or written: \(reason)"
    case .cursor(let topic, let cursor, let reason):
      "the state of cursor \(cursor) of topic log \(topic) could not be saved or read: \(reason)"
    case .noSuchCursor(let topic, let cursor): "topic log \(topic) has no cursor \(cursor)"
    }
  }
}

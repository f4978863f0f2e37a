import NIOCore
import PulsarWire
import TopicLog

/// Decides for one stored entry whether a remote region gets it.
struct EntryFilter {
  /// What to do with an entry.
  enum Verdict {
    /// It came from elsewhere, or its producer left the region out, or it is no message.
    case skip(ReplicatorState.EntryFacts)
    /// The region gets it.
    case send(ReplicatorState.EntryFacts, EntryHeader, MessageMetadataView)
    /// It cannot be understood. Nothing behind it may be sent, as it may be a message that is owed.
    case blocked(String)
  }

  /// The region that is sent to.
  let remote: String

  /// Judges an entry.
  func judge(_ entry: LogEntry) -> Verdict {
    do {
      let header = try EntryHeader.parse(entry.payload)
      guard let broker = header.brokerEntryMetadata else {
        return .blocked("entry \(entry.position) does not say when it was stored")
      }
      var facts = ReplicatorState.EntryFacts(
        position: entry.position, bytes: 0, messages: 0, storedAtMs: broker.brokerTimestampMs ?? 0,
        localMessages: UInt64(bitPattern: broker.localMessages ?? 0),
        localBytes: UInt64(bitPattern: broker.localBytes ?? 0))
      // It came over a link. Only its origin sends it on.
      if broker.origin != nil { return .skip(facts) }
      let metadata = try MessageMetadataView(header.metadata)
      if metadata.isReplicated || metadata.markerType != nil { return .skip(facts) }
      if let regions = metadata.replicateTo, !regions.isEmpty, !regions.contains(remote) { return .skip(facts) }
      facts.messages = metadata.messageCount
      facts.bytes = entry.payload.readableBytes - header.producerBytesOffset
      return .send(facts, header, metadata)
    } catch {
      return .blocked("entry \(entry.position) cannot be read: \(error)")
    }
  }

  /// The counters of the log right before the entry; `nil` if it cannot be understood.
  static func countersBefore(_ entry: LogEntry) -> (storedAtMs: Int64, messages: UInt64, bytes: UInt64)? {
    guard let header = try? EntryHeader.parse(entry.payload), let broker = header.brokerEntryMetadata else {
      return nil
    }
    var messages = UInt64(bitPattern: broker.localMessages ?? 0)
    var bytes = UInt64(bitPattern: broker.localBytes ?? 0)
    if broker.origin == nil, let metadata = try? MessageMetadataView(header.metadata), !metadata.isReplicated {
      messages -= min(messages, UInt64(metadata.messageCount))
      bytes -= min(bytes, UInt64(header.entry.readableBytes - header.producerBytesOffset))
    }
    return (broker.brokerTimestampMs ?? 0, messages, bytes)
  }
}

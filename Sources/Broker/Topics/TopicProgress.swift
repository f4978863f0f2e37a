import NIOCore
import TopicLog

/// What a topic counts with every entry: the index of messages, and what was first published in this region.
struct TopicCounters: Hashable, Sendable {
  /// The index that the next message gets: the number of messages that ever entered the topic.
  var nextIndex: UInt64 = 0
  /// Messages that were first published here.
  var localMessages: UInt64 = 0
  /// Their bytes.
  var localBytes: UInt64 = 0

  mutating func add(messages: Int, bytes: Int, isLocal: Bool) {
    nextIndex &+= UInt64(messages)
    guard isLocal else { return }
    localMessages &+= UInt64(messages)
    localBytes &+= UInt64(bytes)
  }
}

/// Everything a topic knows because of the entries of its log: what is lost with the broker and rebuilt from the log.
///
/// A snapshot is kept at the cursor `pulsar.dedup`, in one record with the cursor's position; the entries after that
/// position complete it. The log alone would do too: a snapshot only saves reading all of it.
struct TopicProgress: Sendable {
  /// Counters after the last entry confirmed.
  var counters = TopicCounters()
  var deduplication: ProducerDeduplication
  var origins = OriginWatermarks()

  private static let format: UInt8 = 1

  init(maximumProducers: Int) {
    deduplication = ProducerDeduplication(maximumProducers: maximumProducers)
  }

  /// The snapshot's bytes. Meant for a moment at which nothing is in flight or what is in flight does not matter: only
  /// what is persisted is written.
  func encode() -> [UInt8] {
    var buffer = ByteBuffer()
    buffer.writeInteger(Self.format)
    buffer.writeInteger(counters.nextIndex)
    buffer.writeInteger(counters.localMessages)
    buffer.writeInteger(counters.localBytes)
    origins.encode(into: &buffer)
    deduplication.encode(into: &buffer)
    return Array(buffer.readableBytesView)
  }

  /// Reads a snapshot; nil if it is damaged or of a format that this version does not know.
  init?(maximumProducers: Int, snapshot: [UInt8]) {
    var buffer = ByteBuffer(bytes: snapshot)
    guard buffer.readInteger(as: UInt8.self) == Self.format,
      let index = buffer.readInteger(as: UInt64.self), let messages = buffer.readInteger(as: UInt64.self),
      let bytes = buffer.readInteger(as: UInt64.self), let origins = OriginWatermarks(decoding: &buffer),
      let deduplication = ProducerDeduplication(maximumProducers: maximumProducers, decoding: &buffer)
    else { return nil }
    counters = TopicCounters(nextIndex: index, localMessages: messages, localBytes: bytes)
    self.origins = origins
    self.deduplication = deduplication
  }
}

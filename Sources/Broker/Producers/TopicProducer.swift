import DequeModule
import NIOCore
import PulsarWire
import TopicLog

/// What a session asks for when a client creates a producer.
struct ProducerSpec: Sendable {
  var producerID: UInt64
  /// Tells producers of one connection apart that have the same id, one after the other.
  var life: UInt64 = 0
  var requestID: UInt64
  var name: String
  var isNameChosen: Bool
  var epoch: UInt64
  var accessMode: ProtoProducerAccessMode
  var topicEpoch: Int64?
  var isEncrypted: Bool
  var schema: SchemaDefinition?
  var metadata: [String: String]
  var stream: ProtoMeridianStream?
  var initialSubscription: String?
  /// Whether both ends know receipts by source position.
  var hasPositionReceipts: Bool
  var address: String
  var clientVersion: String
  var supportsPartialProducer: Bool

  /// Whether it brings messages of another region.
  var isFromReplicator: Bool { stream != nil || pulsarCluster != nil }

  /// The Pulsar cluster that a producer of this name replicates from; `nil` if the name is not a replicator's.
  var pulsarCluster: String? {
    let prefix = "\(Topic.replicatorPrefix)."
    guard stream == nil, name.hasPrefix(prefix) else { return nil }
    let rest = name.dropFirst(prefix.count)
    return String(rest.firstRange(of: "-->").map { rest[..<$0.lowerBound] } ?? rest)
  }

  /// The region that it brings messages of, if it does.
  var sendingRegion: String? { stream?.region ?? pulsarCluster }
}

/// What a session tells its client about a new producer.
struct ProducerGrant: Sendable {
  var producer: TopicProducer
  var name: String
  var lastSequenceID: Int64 = -1
  var schemaVersion: [UInt8]?
  var topicEpoch: Int64?
  /// False while the producer waits for the topic.
  var isReady = true
  var resume: OriginStamp?
}

/// A producer attached to a topic. Confined to the topic's loop.
///
/// It keeps the answers to one producer's messages in the order of the messages, whether they were stored, found to be
/// duplicates or refused: clients take anything else for a broken connection.
final class TopicProducer: @unchecked Sendable {
  enum Kind: Hashable, Sendable {
    /// An application.
    case client
    /// Another Meridian region's link.
    case stream(OriginKey, epoch: UInt64)
    /// A Pulsar cluster's replicator; `hasPositionReceipts` if its messages carry their position in the source.
    case pulsarReplicator(cluster: String, hasPositionReceipts: Bool)

    /// Whether its messages were published in another region.
    var isReplicator: Bool { self != .client }
  }

  let id: ProducerAdmission.ID
  let spec: ProducerSpec
  let kind: Kind
  let port: SessionPort
  let connectedSinceMs: Int64
  /// Set when the producer was removed or must not store anything more: what it still sends is dropped.
  private(set) var isClosed = false
  private var isMute = false
  /// True until the topic is free for it.
  var isWaiting = false
  /// Appends in flight.
  var inFlight: Int { Int(pushed - completed) }
  var counters = PublishCounters()
  var rates = SampledRates()

  private var pushed: UInt64 = 0
  private var completed: UInt64 = 0
  private var deferred: Deque<(after: UInt64, reply: PublishReply)> = []

  /// Unique among the topic's producers.
  var name: String { spec.name }

  init(id: ProducerAdmission.ID, spec: ProducerSpec, kind: Kind, port: SessionPort, nowMs: Int64) {
    self.id = id
    self.spec = spec
    self.kind = kind
    self.port = port
    self.connectedSinceMs = nowMs
  }

  /// A message was handed to the log.
  func appendStarted() { pushed += 1 }

  /// The log is done with the oldest message in flight.
  func appendCompleted(_ outcome: PublishReply.Outcome, bytes: Int) {
    completed += 1
    emit(reply(outcome, bytes: bytes))
    while let first = deferred.first, first.after <= completed {
      deferred.removeFirst()
      emit(first.reply)
    }
  }

  /// Answers a message that does not go to the log, behind those in flight.
  func answer(_ outcome: PublishReply.Outcome, bytes: Int, settled: Int = 1) {
    var reply = reply(outcome, bytes: bytes)
    reply.settled = settled
    if pushed == completed {
      emit(reply)
    } else {
      deferred.append((pushed, reply))
    }
  }

  /// Says something that is no answer to a message and that does not wait.
  func announce(_ outcome: PublishReply.Outcome) {
    emit(PublishReply(producerID: spec.producerID, life: spec.life, outcome: outcome))
  }

  /// From now on nothing of it is stored. A mute one does not report what is still in flight either: its client may
  /// create a producer under the same id, which must not be taken for this one.
  func markClosed(mute: Bool) {
    isClosed = true
    isMute = isMute || mute
  }

  private func reply(_ outcome: PublishReply.Outcome, bytes: Int) -> PublishReply {
    PublishReply(
      producerID: spec.producerID, life: spec.life, outcome: isMute ? .silent : outcome, settled: 1,
      settledBytes: bytes)
  }

  private func emit(_ reply: PublishReply) { port.send(reply) }
}

/// What a producer, or a topic, was sent since it came.
struct PublishCounters: Hashable, Sendable {
  var messages: Int64 = 0
  var bytes: Int64 = 0
  var chunks: Int64 = 0

  mutating func add(messages: Int, bytes: Int, isChunk: Bool) {
    self.messages += Int64(messages)
    self.bytes += Int64(bytes)
    if isChunk { chunks += 1 }
  }
}

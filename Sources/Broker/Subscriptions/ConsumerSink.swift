import NIOCore
import TopicLog

/// One entry on its way to one consumer.
struct Delivery: Sendable {
  /// Where the entry is in the topic's log.
  var position: Position
  /// The entry as stored: broker entry metadata (if the entry has it), checksum, metadata, payload. Not copied.
  var entry: ByteBuffer
  /// The number of bytes of `entry` that the broker entry metadata takes; what follows is the producer's own bytes,
  /// beginning with its checksum. A session skips this many for clients that did not ask for broker metadata.
  var brokerMetadataLength: Int
  /// The messages in the entry (1 if it is no batch): what it costs in permits.
  var messages: Int
  /// How many times the entry was handed out before because a consumer asked for it again.
  var redeliveryCount: UInt32
  /// For a partly acknowledged batch: the bits of the messages that remain, as in `MESSAGE.ack_set`. Otherwise nil.
  var ackSet: [Int64]?

  init(
    position: Position, entry: ByteBuffer, brokerMetadataLength: Int, messages: Int, redeliveryCount: UInt32 = 0,
    ackSet: [Int64]? = nil
  ) {
    self.position = position
    self.entry = entry
    self.brokerMetadataLength = brokerMetadataLength
    self.messages = messages
    self.redeliveryCount = redeliveryCount
    self.ackSet = ackSet
  }
}

/// Why the broker closes a consumer.
enum ConsumerCloseReason: String, Sendable {
  case seek
  case subscriptionDeleted
  case topicClosed
  case backlogEvicted
}

/// The session's side of one consumer. Every method is called on the topic's event loop; a sink whose connection lives
/// on another loop crosses over once per call.
protocol ConsumerSink: AnyObject {
  /// Whether the connection takes more bytes. While false, nothing is delivered; the session calls
  /// ``SubscriptionConsumer/sinkBecameWritable()`` when it turns true.
  var isWritable: Bool { get }

  /// Sends the entries, in order. Called once per consumer and dispatch round.
  func deliver(_ batch: [Delivery])

  /// Tells a Failover consumer whether it is the active one.
  func activeConsumerChanged(isActive: Bool)

  /// Every message of a terminated topic was delivered and acknowledged.
  func reachedEndOfTopic()

  /// The consumer was removed by the broker: the session sends CLOSE_CONSUMER and forgets it. The consumer is no longer
  /// part of the subscription when this is called.
  func close(_ reason: ConsumerCloseReason)
}

import NIOCore
import PulsarWire

/// A message to publish.
public struct Message: Sendable {
  /// What consumers get.
  public var payload: ByteBuffer
  /// Messages of one key go to one partition, and stay in order.
  public var key: String?
  /// Orders within Key_Shared subscriptions, in place of ``key``.
  public var orderingKey: ByteBuffer?
  /// Text for consumers, beside the payload.
  public var properties: [MessageProperty]
  /// The application's own time, in milliseconds since 1970; 0 is none.
  public var eventTimeMs: Int64
  /// The application's own sequence number; the producer's next one without it.
  public var sequenceID: UInt64?
  /// Regions that get the message, of those that the namespace allows; `nil` is all of them, empty is none but this.
  public var replicateTo: [String]?
  /// Deliver it to shared subscriptions at this time, in milliseconds since 1970, and not before.
  public var deliverAtTimeMs: Int64?

  /// A message of bytes.
  public init(
    _ payload: ByteBuffer, key: String? = nil, orderingKey: ByteBuffer? = nil, properties: [MessageProperty] = [],
    eventTimeMs: Int64 = 0, sequenceID: UInt64? = nil, replicateTo: [String]? = nil, deliverAtTimeMs: Int64? = nil
  ) {
    self.payload = payload
    self.key = key
    self.orderingKey = orderingKey
    self.properties = properties
    self.eventTimeMs = eventTimeMs
    self.sequenceID = sequenceID
    self.replicateTo = replicateTo
    self.deliverAtTimeMs = deliverAtTimeMs
  }

  /// A message of text.
  public init(_ text: String, key: String? = nil, properties: [MessageProperty] = []) {
    self.init(ByteBuffer(string: text), key: key, properties: properties)
  }
}

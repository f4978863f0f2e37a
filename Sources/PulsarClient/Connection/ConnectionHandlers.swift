import NIOCore
import PulsarWire

/// Hears what concerns one producer on a connection; called on the connection's loop.
public protocol ConnectionProducer: AnyObject {
  /// An entry is stored.
  func received(receipt: SendReceiptCommand)
  /// An entry was refused.
  func received(error: ProtoCommandSendError)
  /// The broker closed the producer.
  func closedByBroker(_ command: ProtoCommandCloseProducer)
  /// The connection is gone; no other call follows.
  func connectionClosed(_ error: PulsarClientError)
}

/// Hears what concerns one consumer on a connection; called on the connection's loop.
public protocol ConnectionConsumer: AnyObject {
  /// An entry.
  func received(message: MessageCommand, entry: ByteBuffer)
  /// Everything that one read of the socket brought was handed over.
  func receivedAll()
  /// The consumer became or ceased to be the active one.
  func activeChanged(_ isActive: Bool)
  /// Nothing follows: the topic is terminated and drained.
  func reachedEndOfTopic()
  /// The broker closed the consumer.
  func closedByBroker(_ command: ProtoCommandCloseConsumer)
  /// The connection is gone; no other call follows.
  func connectionClosed(_ error: PulsarClientError)
}

import NIOCore
import PulsarWire

/// The connection's side of one consumer. Its methods are called on the topic's loop and cross over to the session's.
final class SessionConsumerSink: ConsumerSink, @unchecked Sendable {
  let consumerID: UInt64
  /// -1 for a topic that is no partition.
  let partition: Int32
  private let session: ClientSession
  /// On the session's loop: false when the client or the broker closed the consumer.
  private(set) var isAttached = true

  init(consumerID: UInt64, partition: Int32, session: ClientSession) {
    self.consumerID = consumerID
    self.partition = partition
    self.session = session
  }

  var isWritable: Bool { session.isWritable }

  /// From now on nothing is sent to the consumer. On the session's loop.
  func detach() { isAttached = false }

  func deliver(_ batch: [Delivery]) {
    onSession { session, sink in session.deliver(batch, to: sink) }
  }

  func activeConsumerChanged(isActive: Bool) {
    onSession { session, sink in
      guard sink.isAttached, let client = session.client, client.protocolVersion >= 12 else { return }
      var change = ProtoCommandActiveConsumerChange()
      change.consumerID = sink.consumerID
      change.isActive = isActive
      session.send(ProtoBaseCommand(change))
    }
  }

  func reachedEndOfTopic() {
    onSession { session, sink in
      // Clients built on the C++ one do not know the command and would reconnect for ever.
      guard sink.isAttached, let client = session.client, client.protocolVersion >= 9, !client.isCPlusPlus
      else { return }
      var end = ProtoCommandReachedEndOfTopic()
      end.consumerID = sink.consumerID
      session.send(ProtoBaseCommand(end))
    }
  }

  func close(_ reason: ConsumerCloseReason) {
    onSession { session, sink in session.consumerClosedByBroker(sink) }
  }

  private func onSession(_ body: @escaping @Sendable (ClientSession, SessionConsumerSink) -> Void) {
    let session = session
    if session.eventLoop.inEventLoop {
      body(session, self)
    } else {
      session.eventLoop.execute { body(session, self) }
    }
  }
}

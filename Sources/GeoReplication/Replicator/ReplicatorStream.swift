import NIOCore
import PulsarClient
import PulsarWire

/// One stream of a replicator: a producer on a connection of the link. It ends once.
///
/// Confined to the topic's loop, which is the connection's.
final class ReplicatorStream: ConnectionProducer, @unchecked Sendable {
  /// Its number among the streams of the replicator.
  let epoch: UInt64
  let connection: PulsarConnection
  let producerID: UInt64
  /// When it was opened, in milliseconds since 1970.
  let openedAtMs: Int64
  /// How the remote acknowledges.
  let mode: Mode
  private weak var replicator: Replicator?
  private var isEnded = false
  /// Whether it waits for the connection to take more.
  private var waitsForRoom = false

  enum Mode: Sendable {
    /// Watermarks of a Meridian region.
    case watermark
    /// Receipts that carry the position in the source.
    case position
    /// Receipts in order.
    case ordered
  }

  init(epoch: UInt64, connection: PulsarConnection, replicator: Replicator) {
    self.epoch = epoch
    self.connection = connection
    self.producerID = connection.makeID()
    self.replicator = replicator
    self.openedAtMs = wallClockMs()
    if connection.peer != nil {
      mode = .watermark
    } else {
      mode = connection.server.featureFlags.supportsReplDedupByLidAndEid ? .position : .ordered
    }
    connection.register(self, id: producerID)
  }

  /// Tells the remote that nothing follows.
  func close() {
    guard !isEnded else { return }
    isEnded = true
    connection.unregister(producer: producerID)
    guard connection.isActive else { return }
    var close = ProtoCommandCloseProducer()
    close.producerID = producerID
    close.requestID = connection.makeID()
    connection.send(ProtoBaseCommand(close))
  }

  /// Whether more can be written now; if not, the replicator is told when it can.
  func hasRoom() -> Bool {
    if connection.isWritable { return true }
    guard !waitsForRoom else { return false }
    waitsForRoom = true
    connection.onWritable.append { [weak self] in
      guard let self else { return }
      waitsForRoom = false
      if !isEnded { replicator?.hasRoom() }
    }
    return false
  }

  func received(receipt: SendReceiptCommand) {
    guard !isEnded else { return }
    replicator?.received(receipt, on: self)
  }

  func received(error: ProtoCommandSendError) {
    end("it refused an entry: \(error.message)")
  }

  func closedByBroker(_ command: ProtoCommandCloseProducer) {
    end("it closed the stream")
  }

  func connectionClosed(_ error: PulsarClientError) {
    end("\(error)")
  }

  private func end(_ reason: String) {
    guard !isEnded else { return }
    close()
    replicator?.streamEnded(self, reason)
  }
}

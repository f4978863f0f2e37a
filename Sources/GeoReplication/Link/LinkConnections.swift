import Logging
import NIOCore
import PulsarClient

/// A link's connections on one event loop: one to each of the remote's brokers that own topics of that loop.
///
/// Confined to `eventLoop`. A topic's stream never leaves the topic's loop, and the loops stripe the link.
final class LinkConnections: @unchecked Sendable {
  let eventLoop: any EventLoop
  private let logger: Logger
  private var connections: [ServiceAddress: EventLoopFuture<PulsarConnection>] = [:]
  /// A connection that comes up after its link went down is not used.
  private var generation: UInt64 = 0

  init(eventLoop: any EventLoop, logger: Logger) {
    self.eventLoop = eventLoop
    self.logger = logger
  }

  /// The connection to the broker at `address`, made if there is none.
  func connection(to address: ServiceAddress, options: ConnectionOptions) -> EventLoopFuture<PulsarConnection> {
    eventLoop.assertInEventLoop()
    if let present = connections[address] { return present }
    let current = generation
    let future = PulsarConnection.connect(to: address, options: options, on: eventLoop, logger: logger)
      .flatMapThrowing { [weak self] connection -> PulsarConnection in
        guard let self, generation == current else {
          connection.close(.connection("the link went down meanwhile"))
          throw LinkError("the link went down while a connection was being made")
        }
        connection.closeFuture.whenComplete { [weak self] _ in self?.forget(address, generation: current) }
        return connection
      }
    connections[address] = future
    future.whenFailure { [weak self] _ in self?.forget(address, generation: current) }
    return future
  }

  private func forget(_ address: ServiceAddress, generation: UInt64) {
    guard generation == self.generation else { return }
    connections[address] = nil
  }

  /// Closes all of them; whoever uses one hears the reason.
  func closeAll(_ reason: String) {
    eventLoop.assertInEventLoop()
    generation += 1
    let all = connections.values
    connections = [:]
    for future in all { future.whenSuccess { $0.close(.connection(reason)) } }
  }
}

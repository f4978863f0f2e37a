import Logging
import NIOConcurrencyHelpers
import NIOCore
import Transport

/// Connections to brokers by address and event loop; made when first asked for, replaced when they break.
final class ConnectionPool: Sendable {
  private struct Key: Hashable {
    var address: ServiceAddress
    var loop: ObjectIdentifier
    var slot: Int
  }

  private let options: ConnectionOptions
  private let connectionsPerBroker: Int
  private let logger: Logger
  private let state = NIOLockedValueBox<(connections: [Key: EventLoopFuture<PulsarConnection>], isClosed: Bool)>(
    ([:], false))

  init(options: ConnectionOptions, connectionsPerBroker: Int, logger: Logger) {
    self.options = options
    self.connectionsPerBroker = max(1, connectionsPerBroker)
    self.logger = logger
  }

  func connection(to address: ServiceAddress, on loop: any EventLoop, slot: Int) -> EventLoopFuture<PulsarConnection> {
    let key = Key(address: address, loop: ObjectIdentifier(loop), slot: slot % connectionsPerBroker)
    let promise = loop.makePromise(of: PulsarConnection.self)
    let known: EventLoopFuture<PulsarConnection>? = state.withLockedValue { state in
      if state.isClosed { return loop.makeFailedFuture(PulsarClientError.closed) }
      if let known = state.connections[key] { return known }
      state.connections[key] = promise.futureResult
      return nil
    }
    if let known {
      promise.completeWith(known)
      return promise.futureResult
    }
    promise.futureResult.whenComplete { result in
      switch result {
      case .failure: self.forget(key)
      case .success(let connection): connection.closeFuture.whenComplete { _ in self.forget(key) }
      }
    }
    promise.completeWith(PulsarConnection.connect(to: address, options: options, on: loop, logger: logger))
    return promise.futureResult
  }

  func close() async {
    let connections = state.withLockedValue { state in
      state.isClosed = true
      return Array(state.connections.values)
    }
    for future in connections {
      guard let connection = try? await future.get() else { continue }
      connection.eventLoop.execute { connection.close() }
      try? await connection.closeFuture.get()
    }
  }

  private func forget(_ key: Key) {
    state.withLockedValue { _ = $0.connections.removeValue(forKey: key) }
  }
}

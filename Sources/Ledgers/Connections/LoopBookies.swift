import Logging
import NIOCore

/// The connections of one event loop, one per bookie, shared by the ledgers on that loop. Confined to `eventLoop`.
final class LoopBookies: @unchecked Sendable {
  let eventLoop: any EventLoop
  let directory: BookieDirectory
  let configuration: LedgerClientConfiguration
  let logger: Logger
  private var connections: [String: BookieConnection] = [:]
  private var isShutDown = false

  init(
    eventLoop: any EventLoop, directory: BookieDirectory, configuration: LedgerClientConfiguration, logger: Logger
  ) {
    self.eventLoop = eventLoop
    self.directory = directory
    self.configuration = configuration
    self.logger = logger
  }

  /// The connection to the bookie; it may not be established, or fail.
  func connection(to bookieID: String) -> BookieConnection {
    eventLoop.assertInEventLoop()
    if let known = connections[bookieID] { return known }
    let connection = BookieConnection(
      bookieID: bookieID, eventLoop: eventLoop, directory: directory, configuration: configuration, logger: logger)
    if isShutDown { connection.shutdown() }
    connections[bookieID] = connection
    return connection
  }

  /// Closes all connections; requests that are outstanding, and later ones, fail.
  func shutdown() {
    eventLoop.assertInEventLoop()
    isShutDown = true
    for connection in connections.values { connection.shutdown() }
  }
}

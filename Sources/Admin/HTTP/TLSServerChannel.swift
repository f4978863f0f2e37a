import HummingbirdCore
import Logging
import NIOCore
import Transport

/// An HTTP channel behind TLS: the handshake's handler first, then everything the plain one has.
struct TLSServerChannel<Base: ServerChildChannel>: ServerChildChannel {
  typealias Value = Base.Value

  var base: Base
  var context: TLSContext

  func setup(channel: any Channel, logger: Logger) -> EventLoopFuture<Value> {
    channel.eventLoop.makeCompletedFuture {
      try channel.pipeline.syncOperations.addHandler(
        TLSHandler(context: context, serverHostname: nil) { result in
          if case .failure(let error) = result {
            logger.info("TLS handshake on the admin port failed: \(error)")
          }
        })
    }.flatMap {
      base.setup(channel: channel, logger: logger)
    }
  }

  func handle(value: Value, logger: Logger) async {
    await base.handle(value: value, logger: logger)
  }
}

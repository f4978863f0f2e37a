import NIOCore
import PulsarWire

/// The way from topics on one loop to one session: collects what several topics and producers have to say and crosses
/// over to the session's loop once per turn of the topics' loop.
///
/// Confined to `eventLoop`, the topics' one.
final class SessionPort: @unchecked Sendable {
  /// What a session does with replies; called on the session's loop.
  typealias Receiver = @Sendable ([PublishReply]) -> Void

  let eventLoop: any EventLoop
  /// The connection, for rules that tell one client from another.
  let connection: UInt64
  private let sessionLoop: any EventLoop
  private let receive: Receiver
  /// Whether the connection is alive: false only if it did not answer, and it is closed then.
  let probe: @Sendable () async -> Bool
  private var pending: [PublishReply] = []
  private var isFlushScheduled = false

  init(
    eventLoop: any EventLoop, sessionLoop: any EventLoop, connection: UInt64,
    probe: @escaping @Sendable () async -> Bool,
    receive: @escaping Receiver
  ) {
    self.eventLoop = eventLoop
    self.sessionLoop = sessionLoop
    self.connection = connection
    self.probe = probe
    self.receive = receive
  }

  /// Queues a reply behind those before it.
  func send(_ reply: PublishReply) {
    eventLoop.assertInEventLoop()
    if !mergeIntoLast(reply) { pending.append(reply) }
    guard !isFlushScheduled else { return }
    isFlushScheduled = true
    // Runs when everything that this turn of the loop confirms has been queued.
    eventLoop.execute { self.flush() }
  }

  /// A watermark says everything that the one before it said.
  private func mergeIntoLast(_ reply: PublishReply) -> Bool {
    guard let last = pending.last, last.producerID == reply.producerID, last.life == reply.life else { return false }
    switch (last.outcome, reply.outcome) {
    case (.watermark(_, let old), .watermark(_, let new))
    where old.region == new.region && old.incarnation == new.incarnation:
      pending[pending.count - 1].outcome = reply.outcome
    case (_, .silent):
      break
    default:
      return false
    }
    pending[pending.count - 1].settled += reply.settled
    pending[pending.count - 1].settledBytes += reply.settledBytes
    return true
  }

  private func flush() {
    isFlushScheduled = false
    guard !pending.isEmpty else { return }
    let batch = pending
    pending.removeAll(keepingCapacity: true)
    if sessionLoop.inEventLoop {
      receive(batch)
    } else {
      let receive = receive
      sessionLoop.execute { receive(batch) }
    }
  }
}

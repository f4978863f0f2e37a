import NIOCore
import PulsarWire
import TopicLog

extension Replicator {
  /// Payloads up to this size are copied into the buffer of the frames: cheaper than a buffer of their own.
  private static let copyLimit = 8 * 1024
  /// What a frame takes besides the entry, at most.
  private static let frameOverhead = 256
  /// The property in which a Pulsar cluster expects the position in the source.
  private static let sourcePosition = "__MSG_PROP_REPL_SOURCE_POSITION"

  /// Reads on, if entries wait and the window, the link and the connection have room.
  func pump() {
    eventLoop.assertInEventLoop()
    guard state.phase == .streaming, let stream else { return }
    let log = topic.log
    guard state.lastRead < log.lastConfirmed,
      let first = log.firstPosition(atOrAfter: log.position(after: state.lastRead))
    else {
      figures.limiter = .none
      return
    }
    let contradiction = state.contradiction(firstUnread: first)
    guard contradiction.isEmpty else {
      logger.error("replication is stuck", metadata: ["reason": "\(state.reason)"])
      return perform(contradiction)
    }
    guard stream.hasRoom() else {
      figures.limiter = .connection
      return
    }
    // A stream with nothing under way may always send something: none starves.
    let room = state.inFlightCount == 0 ? Int.max : link.roomInBytes
    guard room > 0, let next = state.nextRead(firstUnread: first, head: log.lastConfirmed) else {
      if !state.isReading { figures.limiter = .window }
      return
    }
    figures.limiter = .source
    let epoch = stream.epoch
    log.read(from: next.from, maxEntries: configuration.maxReadEntries, maxBytes: min(next.maxBytes, room)) {
      [weak self] result in
      guard let self, self.stream?.epoch == epoch, state.epoch == epoch else { return }
      state.readEnded()
      switch result {
      case .failure(let error): fail(epoch, "the local log cannot be read: \(error)")
      case .success(let entries):
        send(entries, epoch)
        pump()
      }
    }
  }

  /// Sends or skips entries in order; one flush for all. Stops at one that has to wait or cannot be sent: what is behind
  /// it is read again.
  private func send(_ entries: [LogEntry], _ epoch: UInt64) {
    guard let stream, state.phase == .streaming else { return }
    let now = NIODeadline.now()
    var frames = ByteBuffer()
    var obstacle: String?
    // The cursor moves once over all of them, not at every one.
    var skipped: Position?
    for entry in entries {
      switch filter.judge(entry) {
      case .skip(let facts):
        if !state.skip(facts).isEmpty { skipped = facts.position }
      case .blocked(let reason): obstacle = reason
      case .send(let facts, let header, let metadata):
        do {
          guard try send(facts, header, metadata, on: stream, now: now, &frames) else {
            obstacle = ""
            break
          }
        } catch {
          obstacle = "entry \(facts.position) cannot be sent: \(error)"
        }
      }
      if obstacle != nil { break }
    }
    if frames.readableBytes > 0 { stream.connection.write(frames) }
    stream.connection.flush()
    if let skipped { moveCursor(to: skipped) }
    if let last = entries.last { cursor.readPosition = max(cursor.readPosition, last.position) }
    settle()
    if let obstacle, !obstacle.isEmpty { fail(epoch, obstacle) }
  }

  /// Writes one entry. Returns false if it has to wait.
  private func send(
    _ facts: ReplicatorState.EntryFacts, _ header: EntryHeader, _ metadata: MessageMetadataView,
    on stream: ReplicatorStream, now: NIODeadline, _ frames: inout ByteBuffer
  ) throws -> Bool {
    var schemaVersion: ByteBuffer?
    if let version = metadata.schemaVersion, version.readableBytes > 0 {
      guard let mapped = schemaVersions[version] else {
        state.waitForSchema(now: now)
        registerSchema(version, on: stream)
        return false
      }
      schemaVersion = mapped
    }
    let position = facts.position
    let property =
      stream.mode == .watermark ? nil : (Self.sourcePosition, "\(position.ledgerID):\(position.entryID)")
    let parts = try MetadataRewriter.rewrite(
      header, replicatedFrom: link.region, schemaVersion: schemaVersion, appendingProperty: property)
    let limit = stream.connection.maxMessageSize
    guard parts.readableBytes <= limit + PulsarProtocol.frameOverhead - Self.frameOverhead else {
      throw LinkError("it has \(parts.readableBytes) bytes, and \(link.remote) takes \(limit)")
    }
    guard let previous = state.send(facts, now: now) else { return false }
    var command = SendCommand(
      producerID: stream.producerID, sequenceID: metadata.sequenceID, numMessages: Int32(clamping: facts.messages),
      isChunk: metadata.isChunk)
    if stream.mode == .watermark {
      // Without a region: what a stream sends, unless it says otherwise, is its own region's.
      command.origin = OriginStamp(
        region: "", incarnation: 0, ledgerID: facts.position.ledgerID, entryID: facts.position.entryID,
        previousLedgerID: previous.ledgerID, previousEntryID: previous.entryID)
    }
    PulsarFrameEncoder.encode(command, payloadLength: parts.readableBytes, into: &frames)
    frames.writeImmutableBuffer(parts.header)
    if parts.payload.readableBytes <= Self.copyLimit {
      frames.writeImmutableBuffer(parts.payload)
    } else {
      stream.connection.write(frames)
      stream.connection.write(parts.payload)
      frames = ByteBuffer()
    }
    return true
  }

  /// Asks the remote for its version of a schema; nothing is sent before it has answered.
  private func registerSchema(_ version: ByteBuffer, on stream: ReplicatorStream) {
    let topic = topic
    let bytes = Array(version.readableBytesView)
    eventLoop.makeFutureWithTask { try await topic.schema(version: bytes) }
      .flatMap { [link, eventLoop] schema -> EventLoopFuture<ByteBuffer> in
        guard let schema else {
          return eventLoop.makeFailedFuture(LinkError("this region has it no more"))
        }
        return link.register(schema, of: topic.name, on: stream.connection)
      }
      .whenComplete { [weak self] result in
        guard let self, self.stream === stream else { return }
        switch result {
        case .success(let mapped):
          schemaVersions[version] = mapped
          perform(state.schemaReady(epoch: stream.epoch, now: .now()))
        case .failure(let error):
          fail(stream.epoch, "schema version \(Self.number(of: bytes)) cannot be registered there: \(error)")
        }
      }
  }

  private static func number(of version: [UInt8]) -> String {
    guard version.count == 8 else { return version.map { String($0, radix: 16) }.joined() }
    return String(version.reduce(Int64(0)) { $0 << 8 | Int64($1) })
  }
}

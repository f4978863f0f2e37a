import NIOCore

/// Encrypts and decrypts everything that passes through a channel. Put it first in the pipeline; the handlers after it
/// see plain bytes.
///
/// Confined to the channel's event loop. The handshake begins when the channel is active. What is written before its end is kept and
/// sent after it. When the handshake fails, `onHandshake` gets the error, the error is fired through the pipeline, and
/// the channel is closed. With TLS 1.3 a server may refuse a client's certificate after the client's side of the
/// handshake is complete: the client then sees `TLSError.refusedByPeer` as an error of the open channel.
///
/// A peer that ends its side with close_notify leads to a close of the channel, or, if the channel option
/// `allowRemoteHalfClosure` is set, to `ChannelEvent.inputClosed`. The end of the TCP stream without close_notify is
/// treated in the same way: the protocols above mark the ends of their frames themselves.
public final class TLSHandler: ChannelDuplexHandler, @unchecked Sendable {
  /// Encrypted bytes.
  public typealias InboundIn = ByteBuffer
  /// Plain bytes.
  public typealias InboundOut = ByteBuffer
  /// Plain bytes.
  public typealias OutboundIn = ByteBuffer
  /// Encrypted bytes.
  public typealias OutboundOut = ByteBuffer

  private enum State {
    case idle
    case handshaking
    case active
    /// Our side is closed, the peer's is not.
    case outputClosed
    case closed
  }

  private let library: LibraryContext
  private let serverHostname: String?
  private let handshakeTimeout: TimeAmount
  private var onHandshake: ((Result<TLSPeer, TLSError>) -> Void)?

  private var state = State.idle
  private var engine: TLSEngine?
  private var timer: Scheduled<Void>?
  private var writes = TLSWriteQueue()
  private var isEncrypting = false
  private var receivedCloseNotify = false
  private var readRequested = false
  private var pendingOutputClose: (asked: Bool, promise: EventLoopPromise<Void>?) = (false, nil)

  /// The other end, once the handshake is complete.
  public private(set) var peer: TLSPeer?

  /// - Parameters:
  ///   - context: the certificates and rules; what it holds now is used for the whole connection.
  ///   - serverHostname: for a client, the name or address that it connects to, for SNI and verification.
  ///   - handshakeTimeout: the time from the connection to the end of the handshake, at most.
  ///   - onHandshake: called once, on the loop, before anything decrypted is handed on.
  public init(
    context: TLSContext, serverHostname: String?, handshakeTimeout: TimeAmount = .seconds(10),
    onHandshake: ((Result<TLSPeer, TLSError>) -> Void)? = nil
  ) {
    self.library = context.current
    self.serverHostname = serverHostname
    self.handshakeTimeout = handshakeTimeout
    self.onHandshake = onHandshake
  }

  // MARK: Life

  /// Begins the handshake if the channel is active already.
  public func handlerAdded(context: ChannelHandlerContext) {
    if context.channel.isActive { start(context) }
  }

  /// Fails what was not sent.
  public func handlerRemoved(context: ChannelHandlerContext) {
    end(context, .closedDuringHandshake)
  }

  /// Begins the handshake.
  public func channelActive(context: ChannelHandlerContext) {
    start(context)
    context.fireChannelActive()
  }

  /// Fails what was not sent.
  public func channelInactive(context: ChannelHandlerContext) {
    end(context, .closedDuringHandshake)
    context.fireChannelInactive()
  }

  private func start(_ context: ChannelHandlerContext) {
    guard state == .idle else { return }
    state = .handshaking
    let timeout = handshakeTimeout
    let bound = NIOLoopBound((self, context), eventLoop: context.eventLoop)
    timer = context.eventLoop.scheduleTask(in: timeout) {
      let (handler, context) = bound.value
      guard handler.state == .handshaking else { return }
      handler.fail(context, .handshakeTimeout(milliseconds: timeout.nanoseconds / 1_000_000))
    }
    do throws(TLSError) {
      let engine = try TLSEngine(context: library, serverHostname: serverHostname)
      self.engine = engine
      apply(engine.start(), nil, context)
    } catch {
      fail(context, error)
      return
    }
    context.read()
  }

  /// Ends the handler's work without touching the channel.
  private func end(_ context: ChannelHandlerContext, _ handshakeError: TLSError) {
    guard state != .closed else { return }
    let wasHandshaking = state == .handshaking || state == .idle
    state = .closed
    timer?.cancel()
    timer = nil
    engine = nil
    let report = onHandshake
    onHandshake = nil
    let outputClose = pendingOutputClose.promise
    pendingOutputClose = (false, nil)
    if wasHandshaking { report?(.failure(handshakeError)) }
    for promise in writes.removeAll() { promise.fail(wasHandshaking ? handshakeError : .closed) }
    outputClose?.fail(ChannelError.alreadyClosed)
  }

  /// Sends the alert that the library prepared, tells everybody, and closes the channel.
  private func fail(_ context: ChannelHandlerContext, _ error: TLSError) {
    guard state != .closed else { return }
    sendOutput(context)
    end(context, error)
    context.fireErrorCaught(error)
    context.close(promise: nil)
  }

  // MARK: Inbound

  /// Decrypts and hands on.
  public func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    guard let engine, state != .closed else { return }
    let input = unwrapInboundIn(data)
    var plaintext = context.channel.allocator.buffer(capacity: engine.isHandshaking ? 0 : input.readableBytes)
    let outcome = engine.receive(input, into: &plaintext)
    apply(outcome, plaintext, context)
  }

  /// Carries out what the engine found. Every step may re-enter the handler or end it, so each asks for the state.
  private func apply(_ outcome: TLSEngine.Outcome, _ plaintext: ByteBuffer?, _ context: ChannelHandlerContext) {
    sendOutput(context)
    if outcome.handshakeCompleted, state == .handshaking { completeHandshake(context) }
    if let plaintext, plaintext.readableBytes > 0, state == .active || state == .outputClosed {
      readRequested = false
      context.fireChannelRead(wrapInboundOut(plaintext))
    }
    if outcome.receivedCloseNotify { handleCloseNotify(context) }
    if let error = outcome.error { fail(context, error) }
  }

  private func completeHandshake(_ context: ChannelHandlerContext) {
    guard let peer = engine?.peer() else { return }
    state = .active
    self.peer = peer
    timer?.cancel()
    timer = nil
    let report = onHandshake
    onHandshake = nil
    report?(.success(peer))
    guard state == .active else { return }
    context.fireUserInboundEventTriggered(TLSHandshakeCompleted(peer: peer))
    encryptFlushed(context)
    if pendingOutputClose.asked {
      let promise = pendingOutputClose.promise
      pendingOutputClose = (false, nil)
      closeOutput(context, promise)
    }
  }

  private func handleCloseNotify(_ context: ChannelHandlerContext) {
    guard !receivedCloseNotify, state == .active || state == .outputClosed else { return }
    receivedCloseNotify = true
    let allowsHalfClosure = (try? context.channel.syncOptions?.getOption(.allowRemoteHalfClosure)) ?? false
    if allowsHalfClosure, state == .active {
      context.fireUserInboundEventTriggered(ChannelEvent.inputClosed)
    } else {
      close(context: context, mode: .all, promise: nil)
    }
  }

  /// Asks for more when nothing of what was read could be handed on.
  public func channelReadComplete(context: ChannelHandlerContext) {
    context.fireChannelReadComplete()
    if state == .handshaking || (readRequested && (state == .active || state == .outputClosed)) {
      context.read()
    }
  }

  /// The end of the TCP stream during the handshake is an error; after close_notify it says nothing new.
  public func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
    if case .some(.inputClosed) = event as? ChannelEvent {
      if state == .handshaking {
        fail(context, .closedDuringHandshake)
        return
      }
      if receivedCloseNotify { return }
    }
    context.fireUserInboundEventTriggered(event)
  }

  // MARK: Outbound

  /// Keeps the bytes until the next flush.
  public func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
    switch state {
    case .closed: promise?.fail(TLSError.closed)
    case .outputClosed: promise?.fail(ChannelError.outputClosed)
    case .idle, .handshaking, .active: writes.append(unwrapOutboundIn(data), promise)
    }
  }

  /// Encrypts what was written into records as large as possible, and sends it.
  public func flush(context: ChannelHandlerContext) {
    writes.markFlush()
    if state == .active { encryptFlushed(context) }
  }

  /// Remembers the wish, so that it is renewed when a read gave nothing to hand on.
  public func read(context: ChannelHandlerContext) {
    readRequested = true
    context.read()
  }

  /// Ends the connection, or our side of it, with close_notify. What was not flushed fails.
  public func close(context: ChannelHandlerContext, mode: CloseMode, promise: EventLoopPromise<Void>?) {
    switch (mode, state) {
    case (.input, _), (_, .idle), (_, .closed):
      if mode == .all { end(context, .closedDuringHandshake) }
      context.close(mode: mode, promise: promise)
    case (.output, .handshaking):
      if let promise {
        if let earlier = pendingOutputClose.promise {
          earlier.futureResult.cascade(to: promise)
        } else {
          pendingOutputClose.promise = promise
        }
      }
      pendingOutputClose.asked = true
    case (.output, _):
      closeOutput(context, promise)
    case (.all, _):
      if state == .active { sendCloseNotify(context) }
      end(context, .closedDuringHandshake)
      context.close(mode: .all, promise: promise)
    }
  }

  private func closeOutput(_ context: ChannelHandlerContext, _ promise: EventLoopPromise<Void>?) {
    guard state == .active else {
      promise?.fail(ChannelError.outputClosed)
      return
    }
    sendCloseNotify(context)
    state = .outputClosed
    for promise in writes.removeAll() { promise.fail(TLSError.closed) }
    context.close(mode: .output, promise: promise)
    if receivedCloseNotify { close(context: context, mode: .all, promise: nil) }
  }

  private func sendCloseNotify(_ context: ChannelHandlerContext) {
    engine?.closeOutput()
    sendOutput(context)
  }

  /// Sends handshake messages and alerts.
  private func sendOutput(_ context: ChannelHandlerContext) {
    guard let engine, engine.hasOutput else { return }
    var output = context.channel.allocator.buffer(capacity: 4096)
    engine.takeOutput(into: &output)
    context.writeAndFlush(wrapOutboundOut(output), promise: nil)
  }

  private func encryptFlushed(_ context: ChannelHandlerContext) {
    // A promise of a write may be completed inside, and its owner may write and flush again: the outer call goes on.
    guard !isEncrypting else { return }
    isEncrypting = true
    defer { isEncrypting = false }
    var sent = false
    while state == .active, let engine, writes.hasFlushed {
      let chunk = writes.nextChunk(engine, context.channel.allocator)
      let promise = chunk.promise(on: context.eventLoop)
      if let error = chunk.error {
        promise?.fail(error)
        fail(context, error)
        return
      }
      sent = true
      context.write(wrapOutboundOut(chunk.output), promise: promise)
    }
    if sent { context.flush() }
  }
}

import BookieWire
import Logging
import NIOCore
import NIOPosix

/// One loop's connection to one bookie, over TCP or within the process. Confined to `eventLoop`.
///
/// Connects when there is something to send; sends once per turn of the loop; when the bookie is gone everything
/// outstanding fails at once. No completion runs before the call that it belongs to has returned.
final class BookieConnection: @unchecked Sendable {
  private enum State {
    case idle
    case connecting
    case negotiating(any Channel)
    case network(any Channel, hasRequestIDs: Bool)
    case local(any LocalBookieConnection)
    case backingOff(until: NIODeadline)
    case shutDown
  }

  let bookieID: String
  let eventLoop: any EventLoop
  private let directory: BookieDirectory
  private let configuration: LedgerClientConfiguration
  private let logger: Logger

  private var state = State.idle
  private var epoch: UInt64 = 0
  private var table = BookieRequestTable()
  private var outbox: [BookieRequest] = []
  private var refused: [BookieRequestTable.Waiter] = []
  private var isFlushScheduled = false
  private var isTimerScheduled = false
  private var lastReceived = NIODeadline.now()
  private var failedAttempts = 0
  private var plain = PlainRequests()
  /// What has to wait for an answer that it could be taken for.
  private var held: [BookieRequest] = []
  private var batchReads = BatchReadSupport()
  private var addLatency = MovingMean()

  init(
    bookieID: String, eventLoop: any EventLoop, directory: BookieDirectory, configuration: LedgerClientConfiguration,
    logger: Logger
  ) {
    self.bookieID = bookieID
    self.eventLoop = eventLoop
    self.directory = directory
    self.configuration = configuration
    self.logger = logger
  }

  /// Bytes of memory that adds take which the bookie has not answered.
  var queuedBytes: Int { table.addBytes }

  /// How long adds take of late, or have been waiting if that is longer; nil without any.
  func addLatency(now: NIODeadline) -> TimeAmount? {
    let waiting = table.oldestAdd.map { now - $0 }
    guard let mean = addLatency.value else { return waiting }
    return max(mean, waiting ?? .zero)
  }

  /// Forgets how long adds took, which says little once it is old.
  func forgetAddLatency() { addLatency = MovingMean() }

  // MARK: Requests

  /// Stores an entry; the bytes are shared, not copied.
  func add(
    _ bytes: EntryBytes, ledgerID: LedgerID, entryID: EntryID, flags: BookieRequestFlags, key: LedgerMasterKey,
    receiver: any BookieAddReceiver, slot: Int, generation: UInt32
  ) {
    eventLoop.assertInEventLoop()
    let size = bytes.count
    let waiter = BookieRequestTable.Waiter.add(receiver, entryID, slot: slot, generation: generation, size: size)
    guard table.hasRoom(forAdd: size, budget: configuration.maximumQueuedBytesPerBookie) else {
      refused.append(waiter)
      return scheduleFlush()
    }
    let id = table.register(waiter, now: .now(), timeout: configuration.addEntryTimeout)
    outbox.append(
      .add(
        AddRequest(
          requestID: id, flags: flags, masterKey: key, ledgerID: ledgerID, entryID: entryID, entry: bytes)))
    scheduleFlush()
  }

  /// Reads an entry, or the last one (`ReadRequest.lastEntry`); fences first if a key is given.
  /// The code is nil if the bookie did not answer.
  func read(
    ledgerID: LedgerID, entryID: EntryID, fencingKey: LedgerMasterKey? = nil,
    completion: @escaping (BookieReturnCode?, ByteBuffer?) -> Void
  ) {
    eventLoop.assertInEventLoop()
    let id = table.register(.read(completion), now: .now(), timeout: configuration.readEntryTimeout)
    outbox.append(
      .read(
        ReadRequest(
          requestID: id, flags: fencingKey == nil ? [] : [.fencing, .highPriority], ledgerID: ledgerID,
          entryID: entryID, masterKey: fencingKey)))
    scheduleFlush()
  }

  /// Reads up to `count` entries from `from` on, about `maxBytes` at most: fewer may come, and one by one from a bookie
  /// that knows no batches.
  func batchRead(
    ledgerID: LedgerID, from: EntryID, count: Int, maxBytes: Int,
    completion: @escaping (BookieReturnCode?, [ByteBuffer]) -> Void
  ) {
    eventLoop.assertInEventLoop()
    let wanted = BookieRequestTable.BatchRead(
      ledgerID: ledgerID, from: from, count: count, maxBytes: maxBytes, completion: completion)
    guard batchReads.mayBeUsed else { return readOneByOne(wanted) }
    let id = table.register(.batchRead(wanted), now: .now(), timeout: configuration.readEntryTimeout)
    outbox.append(
      .batchRead(
        BatchReadRequest(
          requestID: id, ledgerID: ledgerID, startEntryID: from, maxCount: Int32(clamping: count),
          maxSize: Int64(min(maxBytes, configuration.maximumFrameSize)))))
    scheduleFlush()
  }

  private func readOneByOne(_ wanted: BookieRequestTable.BatchRead) {
    let gathering = GatheredReads(wanted)
    for index in 0..<gathering.count {
      read(ledgerID: wanted.ledgerID, entryID: wanted.from + EntryID(index)) { gathering.answered(index, $0, $1) }
    }
  }

  /// Closes the connection for good.
  func shutdown() {
    eventLoop.assertInEventLoop()
    switch state {
    case .negotiating(let channel), .network(let channel, _): channel.close(promise: nil)
    case .local(let connection): connection.close()
    case .idle, .connecting, .backingOff, .shutDown: break
    }
    state = .shutDown
    epoch += 1
    failAll()
  }

  // MARK: Sending

  private func scheduleFlush() {
    guard !isFlushScheduled else { return }
    isFlushScheduled = true
    eventLoop.execute { self.flush() }
  }

  private func flush() {
    isFlushScheduled = false
    if !refused.isEmpty {
      let now = refused
      refused.removeAll()
      for waiter in now { waiter.fail(.tooManyRequests) }
    }
    guard !outbox.isEmpty else { return }
    switch state {
    case .idle: connect()
    case .backingOff(let until) where until <= .now(): connect()
    case .backingOff, .shutDown: failAll()
    case .connecting, .negotiating: break
    case .local(let connection):
      let batch = outbox
      outbox = []
      connection.submit(batch)
    case .network(let channel, let hasRequestIDs):
      send(on: channel, hasRequestIDs: hasRequestIDs)
    }
    scheduleTimer()
  }

  private func send(on channel: any Channel, hasRequestIDs: Bool) {
    var writer = BookieFrameWriter(allocator: channel.allocator)
    let emit = { (bytes: ByteBuffer) in channel.write(bytes, promise: nil) }
    for request in outbox {
      if hasRequestIDs {
        writer.append(request, emit: emit)
      } else if plain.mayBeMistaken(request) {
        held.append(request)
      } else {
        writer.append(plain.sent(request), emit: emit)
      }
    }
    outbox.removeAll(keepingCapacity: true)
    writer.finish(emit: emit)
    channel.flush()
  }

  // MARK: Connecting

  private func connect() {
    epoch += 1
    let attempt = epoch
    if let service = configuration.localBookies?.service(bookieID) {
      let connection = service.connect(
        on: eventLoop, onResponses: { [weak self] in self?.received($0, epoch: attempt) },
        onClose: { [weak self] in self?.closed(epoch: attempt) })
      // The bookie may have stopped while it was being called.
      guard epoch == attempt else { return }
      state = .local(connection)
      directory.noteSuccess(of: bookieID)
      return flush()
    }
    state = .connecting
    let isStale = failedAttempts > 0
    Task { [self] in
      let info = await directory.resolve(bookieID, isStale: isStale)
      eventLoop.execute { self.dial(info, attempt) }
    }
  }

  private func dial(_ info: BookieInfo?, _ attempt: UInt64) {
    guard epoch == attempt else { return }
    guard let info else {
      logger.debug("Bookie is not registered.", metadata: ["bookie": "\(bookieID)"])
      return closed(epoch: attempt)
    }
    let maximumFrameLength = configuration.maximumFrameSize
    let tls = configuration.tls
    ClientBootstrap(group: eventLoop)
      .connectTimeout(configuration.connectTimeout)
      .channelOption(.tcpOption(.tcp_nodelay), value: 1)
      .channelInitializer { channel in
        channel.eventLoop.makeCompletedFuture {
          if let tls {
            try channel.pipeline.syncOperations.addHandler(
              BookieTLSUpgrade(tls: tls, host: info.host, maximumFrameLength: maximumFrameLength))
          }
          try channel.pipeline.syncOperations.addHandler(
            BookieChannelHandler(connection: self, epoch: attempt, maximumFrameLength: maximumFrameLength))
        }
      }
      .connect(host: info.host, port: info.port)
      .whenComplete { result in
        switch result {
        case .success(let channel): self.connected(channel, attempt)
        case .failure(let error):
          self.noteError(error, epoch: attempt)
          self.closed(epoch: attempt)
        }
      }
  }

  private func connected(_ channel: any Channel, _ attempt: UInt64) {
    guard epoch == attempt, case .connecting = state else {
      channel.close(promise: nil)
      return
    }
    state = .negotiating(channel)
    eventLoop.scheduleTask(in: configuration.connectTimeout) {
      if case .negotiating(let channel) = self.state, self.epoch == attempt { channel.close(promise: nil) }
    }
  }

  // MARK: Events

  /// Answers arrived.
  func received(_ responses: [BookieResponse], epoch: UInt64) {
    eventLoop.assertInEventLoop()
    guard epoch == self.epoch else { return }
    lastReceived = .now()
    for response in responses {
      switch response {
      case .auth(let answer): negotiated(answer)
      case .add(let add):
        let key = PlainRequests.Key(ledgerID: add.ledgerID, entryID: add.entryID, isAdd: true)
        if let (waiter, since) = waiter(add.requestID, key) {
          addLatency.add(lastReceived - since)
          waiter.answer(response)
        }
      case .read(let read):
        let key = PlainRequests.Key(ledgerID: read.ledgerID, entryID: read.entryID, isAdd: false)
        waiter(read.requestID, key)?.waiter.answer(response)
      case .batchRead(let read):
        guard let (waiter, _) = table.take(read.requestID) else { continue }
        if case .batchRead(let wanted) = waiter, batchReads.answered(read.code) {
          readOneByOne(wanted)
        } else {
          waiter.answer(response)
        }
      }
    }
    if !held.isEmpty {
      outbox = held + outbox
      held.removeAll()
      scheduleFlush()
    }
  }

  /// The connection is gone, or could not be made.
  func closed(epoch: UInt64) {
    eventLoop.assertInEventLoop()
    guard epoch == self.epoch else { return }
    self.epoch += 1
    var unserved: [BookieRequestTable.BatchRead] = []
    switch state {
    case .network(_, let hasRequestIDs):
      failedAttempts = 0
      state = .idle
      // A bookie from before batch reads hangs up on them.
      if !hasRequestIDs, table.hasBatchReads, batchReads.hungUp() {
        unserved = table.takeBatchReads()
        logger.info(
          "The bookie knows no batch reads; entries are read one by one.", metadata: ["bookie": "\(bookieID)"])
      }
    case .local:
      failedAttempts = 0
      state = .idle
    case .idle, .connecting, .negotiating, .backingOff:
      failedAttempts += 1
      let shortest = max(1, configuration.maximumReconnectDelay.nanoseconds / 100)
      let delay = min(configuration.maximumReconnectDelay.nanoseconds, shortest << Int64(min(failedAttempts - 1, 10)))
      state = .backingOff(until: .now() + .nanoseconds(delay))
    case .shutDown: break
    }
    if unserved.isEmpty { directory.noteFailure(of: bookieID) }
    failAll()
    for wanted in unserved { readOneByOne(wanted) }
  }

  func noteError(_ error: any Error, epoch: UInt64) {
    guard epoch == self.epoch else { return }
    logger.info("Connection to bookie failed.", metadata: ["bookie": "\(bookieID)", "error": "\(error)"])
  }

  private func negotiated(_ answer: BookieAuthMessage) {
    guard case .negotiating(let channel) = state else { return }
    failedAttempts = 0
    directory.noteSuccess(of: bookieID)
    state = .network(channel, hasRequestIDs: answer.pluginName == BookieAuthMessage.requestIDPluginName)
    flush()
  }

  private func waiter(
    _ id: UInt64?, _ key: PlainRequests.Key
  ) -> (waiter: BookieRequestTable.Waiter, since: NIODeadline)? {
    if let id { return table.take(id) }
    while let next = plain.next(key) {
      if let found = table.take(next) { return found }
    }
    return nil
  }

  private func failAll() {
    outbox.removeAll()
    held.removeAll()
    plain = PlainRequests()
    for waiter in table.takeAll() { waiter.fail() }
  }

  // MARK: Time

  private func scheduleTimer() {
    guard !isTimerScheduled, !table.isEmpty else { return }
    isTimerScheduled = true
    let period = min(configuration.addEntryTimeout, configuration.readEntryTimeout).nanoseconds / 10
    eventLoop.scheduleTask(in: .nanoseconds(max(1_000_000, period))) {
      self.isTimerScheduled = false
      self.expire()
      self.scheduleTimer()
    }
  }

  private func expire() {
    let now = NIODeadline.now()
    let expired = table.takeExpired(
      now: now, shortest: min(configuration.addEntryTimeout, configuration.readEntryTimeout))
    guard !expired.isEmpty else { return }
    logger.info(
      "Requests timed out.", metadata: ["bookie": "\(bookieID)", "count": "\(expired.count)"])
    directory.noteFailure(of: bookieID, count: min(expired.count, 10))
    for waiter in expired { waiter.fail() }
    // A peer that has been silent for as long as a request may take is not worth waiting for; nor is one that takes no
    // bytes, whose requests we no longer count but still hold.
    let isSilent = lastReceived + configuration.readEntryTimeout <= now
    switch state {
    // Without request ids an answer that comes too late would be taken for that to a later request.
    case .network(let channel, let hasRequestIDs) where isSilent || !channel.isWritable || !hasRequestIDs:
      channel.close(promise: nil)
    case .local(let connection) where isSilent:
      connection.close()
      closed(epoch: epoch)
    default: break
    }
  }
}

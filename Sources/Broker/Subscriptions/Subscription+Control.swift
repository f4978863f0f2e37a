import NIOConcurrencyHelpers
import NIOCore
import TopicLog

/// Rare operations that wait for the log: can be called from anywhere.
extension Subscription {
  // MARK: Seek

  /// Makes `position` the next one to be delivered. Consumers are disconnected first; they come back by themselves.
  /// - Parameter ackSet: for a position within a batch: the messages of it that are to be delivered.
  func seek(to position: Position, ackSet: [Int64]? = nil) async throws {
    let target = try await eventLoop.submit { () throws -> Position in
      try self.beginReset()
      return self.resolve(position)
    }.get()
    try await finishReset(to: target, ackSet: ackSet)
  }

  /// Makes the first message published at or after `publishTimeMs` the next one; behind the last if there is none.
  func seek(toPublishTimeMs publishTimeMs: Int64) async throws {
    try await eventLoop.submit { try self.beginReset() }.get()
    do {
      let found = try await log.findPosition { EntryFacts($0.payload, needsKey: false).publishTimeMs < publishTimeMs }
      let target = try await eventLoop.submit { self.resolve(found ?? .latest) }.get()
      try await finishReset(to: target, ackSet: nil)
    } catch {
      try await eventLoop.submit { self.endReset() }.get()
      throw Self.translated(error)
    }
  }

  private func beginReset() throws(SubscriptionError) {
    switch state {
    case .open: state = .resetting
    case .resetting: throw .fenced(name)
    case .closed: throw .closed(name)
    }
    disconnectAll(.seek)
  }

  private func finishReset(to position: Position, ackSet: [Int64]?) async throws {
    do {
      try await cursor.reset(to: position)
      try await eventLoop.submit {
        if let ackSet, !ackSet.isEmpty { _ = self.cursor.acknowledge(position, batchAckSet: ackSet, batchSize: nil) }
        self.endReset()
      }.get()
    } catch {
      try await eventLoop.submit { self.endReset() }.get()
      throw Self.translated(error)
    }
  }

  private func endReset() {
    guard state == .resetting else { return }
    state = .open
    rewind()
    guard !isDurable else { return }
    // A reader that does not come back after its seek must not leave the subscription behind.
    eventLoop.scheduleTask(in: Self.reconnectGrace) { [weak self] in
      guard let self, state == .open, consumers.isEmpty else { return }
      onLastConsumerLeft?(self)
    }
  }

  /// Turns "earliest" and "latest" into places of this log.
  private func resolve(_ position: Position) -> Position {
    if position.ledgerID < 0 { return log.firstPosition ?? log.position(after: log.lastConfirmed) }
    if position > log.lastConfirmed { return log.position(after: log.lastConfirmed) }
    return position.entryID < 0 ? Position(ledgerID: position.ledgerID, entryID: 0) : position
  }

  // MARK: Skip, expire, peek

  /// Acknowledges everything that is in the log now.
  func skipAll() async throws {
    try await eventLoop.submit {
      try self.requireOpen()
      let before = self.cursor.markDelete
      self.cursor.acknowledgeCumulative(self.log.lastConfirmed)
      self.cursorAdvanced(from: before)
    }.get()
    try await flushCursor()
  }

  /// Acknowledges the first `count` unacknowledged entries.
  /// - Returns: how many there were.
  @discardableResult
  func skip(_ count: Int) async throws -> Int {
    let (position, skipped) = try await unacknowledged(number: count)
    guard let position else { return 0 }
    try await advance(to: position)
    return skipped
  }

  /// Acknowledges messages published before `cutoffMs`.
  /// - Returns: the number of entries that expired.
  @discardableResult
  func expireMessages(publishedBeforeMs cutoffMs: Int64) async throws -> Int64 {
    // A binary search looks at the entries on both sides of the border: the last one it finds too old is the border.
    let lastExpired = NIOLockedValueBox<Position?>(nil)
    do {
      _ = try await log.findPosition { entry in
        guard EntryFacts(entry.payload, needsKey: false).publishTimeMs < cutoffMs else { return false }
        lastExpired.withLockedValue { $0 = max($0 ?? entry.position, entry.position) }
        return true
      }
    } catch {
      throw Self.translated(error)
    }
    let border = lastExpired.withLockedValue { $0 }
    return try await expire { _ in border }
  }

  /// Acknowledges everything up to a position, with `isExcluded` what is before it.
  /// - Returns: the number of entries that expired.
  @discardableResult
  func expireMessages(through position: Position, isExcluded: Bool) async throws -> Int64 {
    try await expire { log in
      let last = min(position, log.lastConfirmed)
      guard isExcluded, position <= log.lastConfirmed else { return last }
      return log.position(before: position)
    }
  }

  private func expire(through find: @escaping @Sendable (TopicLog) -> Position?) async throws -> Int64 {
    try await eventLoop.submit {
      try self.requireOpen()
      let border = find(self.log)
      self.counters.lastExpireMs = self.wallClockMs()
      guard let border, border > self.cursor.markDelete else { return 0 }
      let before = (position: self.cursor.markDelete, backlog: self.cursor.backlogEntries)
      self.cursor.acknowledgeCumulative(border)
      let expired = max(0, before.backlog - self.cursor.backlogEntries)
      self.counters.expired.record(messages: Int(expired), bytes: 0, now: .now())
      self.cursorAdvanced(from: before.position)
      return expired
    }.get()
  }

  /// The `number`th unacknowledged entry, counted from 1; nil if there are fewer.
  func peek(_ number: Int) async throws -> LogEntry? {
    let (position, found) = try await unacknowledged(number: number)
    guard let position, found == number else { return nil }
    let promise = eventLoop.makePromise(of: LogEntry?.self)
    eventLoop.execute {
      self.log.read(from: position, maxEntries: 1, maxBytes: self.configuration.dispatcherMaxReadSizeBytes) {
        promise.completeWith($0.map(\.first).mapError { Self.translated($0) })
      }
    }
    return try await promise.futureResult.get()
  }

  /// Walks to the `number`th unacknowledged entry, in steps that leave the loop to others.
  /// - Returns: it, or the last one if there are fewer, and how many were passed.
  private func unacknowledged(number: Int) async throws -> (Position?, Int) {
    let stepsInOneGo = 10_000
    var last: Position?
    var found = 0
    var from: Position?
    while found < number {
      let (start, count, previous) = (from, found, last)
      let step = try await eventLoop.submit { () throws -> (Position?, Position?, Int) in
        try self.requireOpen()
        var (last, found) = (previous, count)
        var position = start ?? self.log.position(after: self.cursor.markDelete)
        for _ in 0..<stepsInOneGo {
          guard position <= self.log.lastConfirmed else { return (nil, last, found) }
          if !self.cursor.isAcknowledged(position) {
            last = position
            found += 1
            if found == number { return (nil, last, found) }
          }
          position = self.log.position(after: position)
        }
        return (position, last, found)
      }.get()
      (from, last, found) = step
      if from == nil { break }
    }
    return (last, found)
  }

  private func advance(to position: Position) async throws {
    try await eventLoop.submit {
      try self.requireOpen()
      let before = self.cursor.markDelete
      self.cursor.acknowledgeCumulative(position)
      self.cursorAdvanced(from: before)
    }.get()
    try await flushCursor()
  }

  private func flushCursor() async throws {
    guard isDurable else { return }
    do { try await cursor.flush() } catch { throw Self.translated(error) }
  }

  // MARK: The end

  /// Deletes the subscription at the request of its only consumer, whose session answers it.
  /// - Throws: `notAllowed` if there are other consumers, or the consumer is not one of this subscription.
  func unsubscribe(_ consumer: SubscriptionConsumer) async throws {
    try await eventLoop.submit {
      guard self.consumersByKey[consumer.key] === consumer else {
        throw SubscriptionError.notAllowed("The consumer is not connected to subscription \(self.name).")
      }
      guard self.consumers.count == 1 else {
        throw SubscriptionError.notAllowed(
          "Subscription \(self.name) has \(self.consumers.count) consumers: the others must close first.")
      }
      try self.requireOpen()
      _ = self.detach(consumer)
    }.get()
    try await deleteCursor()
  }

  /// Deletes the subscription.
  /// - Parameter force: disconnects consumers; without it they are a reason to refuse.
  /// - Throws: `consumerBusy`, or `storage` if the cursor could not be deleted: then nothing changed, except that
  ///   consumers are gone.
  func delete(force: Bool) async throws {
    try await eventLoop.submit {
      guard self.consumers.isEmpty || force else {
        throw SubscriptionError.consumerBusy("Subscription \(self.name) has connected consumers.")
      }
      guard self.state != .closed else { throw SubscriptionError.closed(self.name) }
      self.disconnectAll(.subscriptionDeleted)
    }.get()
    try await deleteCursor()
  }

  private func deleteCursor() async throws {
    try await eventLoop.submit { self.state = .resetting }.get()
    do {
      try await log.deleteCursor(cursor)
    } catch TopicLogError.noSuchCursor {
      // Deleted before, perhaps by an attempt whose answer was lost.
    } catch {
      try await eventLoop.submit { self.endReset() }.get()
      throw Self.translated(error)
    }
    try await eventLoop.submit { self.close(.subscriptionDeleted) }.get()
  }

  private func requireOpen() throws(SubscriptionError) {
    switch state {
    case .open: return
    case .resetting: throw .fenced(name)
    case .closed: throw .closed(name)
    }
  }

  static func translated(_ error: any Error) -> SubscriptionError {
    if let error = error as? SubscriptionError { return error }
    return .storage("\(error)")
  }
}

import BookieWire
import NIOCore

extension BookieStorage {
  /// Accepts a batch; the receipts follow after its sync.
  ///
  /// - Returns: false if the batch has to wait for room in the write cache. The connection should read no more until it is
  ///   told to resume.
  func add(_ batch: AddBatch, from target: any ReplyTarget) -> Bool {
    var batch = batch
    // Here, on the connection's loop, and not on the journal's one thread.
    batch.checksum()
    var refused: BookieReply?
    var isFirst = false
    let (accepted, mustFlush) = state.withLockedValue { state -> (Bool, Bool) in
      guard !state.isClosed else { return (true, false) }
      let isNext = (batch.isUrgent ? state.urgentWaiting : state.waiting).isEmpty(journal: batch.journal)
      // What is refused anyway does not wait for that.
      if !isRefused(batch, state), !isNext || !hasRoom(batch.journal, isUrgent: batch.isUrgent, state) {
        isFirst = state.waiting.isEmpty && state.urgentWaiting.isEmpty
        let isWaiting =
          batch.isUrgent
          ? state.urgentWaiting.append(batch, target, now: environment.now())
          : state.waiting.append(batch, target, now: environment.now())
        guard isWaiting else {
          state.statistics.rejectedAdds += Int64(batch.adds.count)
          refused = batch.refusal(.tooManyRequests)
          return (true, true)
        }
        state.statistics.throttledAdds += 1
        return (batch.isUrgent, true)
      }
      refused = accept(&batch, target, &state)
      return (true, state.cache.isActiveFull && beginFlush(&state))
    }
    if let refused { target.deliver([refused]) }
    if mustFlush { flusher?.submit(.wake) }
    if isFirst { expiry?.wake() }
    return accepted
  }

  /// Whether the bookie takes no such adds at all.
  private func isRefused(_ batch: AddBatch, _ state: State) -> Bool {
    switch state.disks.mode {
    case .writable: false
    case .readOnly: !batch.isUrgent
    case .noWrites: true
    }
  }

  /// Whether the write cache and a journal have room. Called under the lock.
  private func hasRoom(_ journal: Int, isUrgent: Bool, _ state: State) -> Bool {
    !state.cache.isFull(isUrgent: isUrgent) && !journals[journal].isFull(isUrgent: isUrgent)
  }

  /// Checks each add against the table, inserts what passes and hands it to the journal. Returns the refusals.
  private func accept(_ batch: inout AddBatch, _ target: any ReplyTarget, _ state: inout State) -> BookieReply? {
    if isRefused(batch, state) {
      state.statistics.refusedAdds += Int64(batch.adds.count)
      return batch.refusal(.readOnly)
    }
    let isEncoded = target.wantsEncodedReceipts
    var receipts = AddReceipts(isEncoded: isEncoded, capacity: batch.adds.count)
    var refusals = AddReceipts(isEncoded: isEncoded, capacity: 0)
    var entries: [(ledgerID: Int64, entryID: Int64, location: EntrySegment.Location)] = []
    entries.reserveCapacity(batch.adds.count)
    var refusedIndices: Set<Int> = []
    var start = 0
    while start < batch.adds.count {
      let (end, lastEntry) = batch.group(from: start)
      let first = batch.adds[start]
      // What is decided for one add of a group holds for all of it.
      let code: BookieReturnCode
      switch state.table.add(first.ledgerID, entryID: lastEntry, key: first.key, isRecovery: first.isRecovery) {
      case .accept(let isNew):
        if isNew { batch.append(ledgerID: first.ledgerID, key: first.key) }
        if first.isRecovery { state.statistics.recoveryAdds += Int64(end - start) }
        code = .ok
      case .fenced: code = .fenced
      case .unauthorized: code = .unauthorized
      }
      for index in start..<end {
        let add = batch.adds[index]
        let response = AddResponse(
          requestID: add.requestID, code: code, ledgerID: add.ledgerID, entryID: add.entryID)
        if code == .ok {
          entries.append((add.ledgerID, add.entryID, add.location))
          state.statistics.addedBytes += Int64(add.location.length)
          receipts.append(response)
        } else {
          batch.void(index)
          refusedIndices.insert(index)
          refusals.append(response)
        }
      }
      start = end
    }
    state.statistics.adds += Int64(entries.count)
    state.statistics.refusedAdds += Int64(refusals.count)
    if !entries.isEmpty {
      let (written, except) = (batch, refusedIndices)
      state.cache.insert(batch.segment, entries)
      journals[batch.journal].append(
        JournalAppend(
          segment: batch.segment, entries: entries.count, at: batch.at,
          completion: .receipts(target, receipts.reply, refusal: { written.refusal(.ioError, except: except) })))
    }
    return refusals.count == 0 ? nil : refusals.reply
  }

  /// Lets in what waits, as long as there is room. Called under the lock.
  func admitWaiting(_ state: inout State) -> [(any ReplyTarget, [BookieReply])] {
    var replies: [(any ReplyTarget, [BookieReply])] = []
    guard !state.isClosed else { return [] }
    while var next = popWaiting(isUrgent: true, &state) {
      if let refused = accept(&next.batch, next.target, &state) { replies.append((next.target, [refused])) }
    }
    while var next = popWaiting(isUrgent: false, &state) {
      var reply: [BookieReply] = [.resume]
      if let refused = accept(&next.batch, next.target, &state) { reply.insert(refused, at: 0) }
      replies.append((next.target, reply))
    }
    return replies
  }

  private func popWaiting(isUrgent: Bool, _ state: inout State) -> WaitingAdds.Item? {
    let isFull = state.cache.isFull(isUrgent: isUrgent)
    guard !isFull else { return nil }
    let hasRoom: (Int) -> Bool = { [journals] in !journals[$0].isFull(isUrgent: isUrgent) }
    return isUrgent ? state.urgentWaiting.popFirst(where: hasRoom) : state.waiting.popFirst(where: hasRoom)
  }

  /// A journal that was full has room again.
  func journalHasRoom() {
    let (replies, mustFlush) = state.withLockedValue { state in
      let replies = admitWaiting(&state)
      return (replies, !state.isClosed && state.cache.isActiveFull && beginFlush(&state))
    }
    for (target, reply) in replies { target.deliver(reply) }
    if mustFlush { flusher?.submit(.wake) }
  }

  /// Refuses what has waited too long, so that its connection can be read again. Returns when the next one will have.
  func expireWaiting() -> NIODeadline? {
    let now = environment.now()
    var replies: [(any ReplyTarget, [BookieReply])] = []
    let next = state.withLockedValue { state -> NIODeadline? in
      while let item = state.urgentWaiting.popExpired(now: now) {
        state.statistics.rejectedAdds += Int64(item.batch.adds.count)
        replies.append((item.target, [item.batch.refusal(.tooManyRequests)]))
      }
      while let item = state.waiting.popExpired(now: now) {
        state.statistics.rejectedAdds += Int64(item.batch.adds.count)
        replies.append((item.target, [item.batch.refusal(.tooManyRequests), .resume]))
      }
      return [state.urgentWaiting.nextExpiry, state.waiting.nextExpiry].compactMap { $0 }.min()
    }
    for (target, reply) in replies { target.deliver(reply) }
    return next
  }
}

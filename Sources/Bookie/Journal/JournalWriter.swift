import Checksums
import NIOCore

/// The part of a journal that writes: it belongs to the journal's thread.
final class JournalWriter: StorageWorker, @unchecked Sendable {
  /// What became of a group.
  private enum Outcome {
    /// Durable, with so many bytes written.
    case synced(Int)
    /// Refused before anything was synced.
    case refused(BookieError)
    /// Nothing is known any more.
    case failed(BookieError)
  }

  let mailbox: Mailbox<JournalAppend>
  private let journal: Journal
  private let environment: StorageEnvironment
  private var file: JournalFile
  private var pending: CircularBuffer<JournalAppend> = []
  private var batcher: JournalBatcher
  private var buffer: AlignedBuffer
  private var sequence: UInt64
  private var isClosed = false
  private var hasFailed = false
  private let markerDelay: TimeAmount
  /// When the last record was synced, if it has no marker behind it and is none.
  private var unmarkedSince: NIODeadline?

  init(journal: Journal, file: JournalFile) {
    self.journal = journal
    self.file = file
    mailbox = journal.mailbox
    let configuration = journal.configuration
    environment = configuration.environment
    batcher = JournalBatcher(
      JournalBatcher.Limits(
        maxWait: TimeAmount(configuration.journalMaxGroupWait), maxBytes: configuration.journalMaxGroupBytes,
        flushWhenIdle: configuration.journalFlushWhenIdle, busyEntries: configuration.journalBusyGroupEntries))
    markerDelay = TimeAmount(configuration.journalMarkerDelay)
    buffer = AlignedBuffer(capacity: Self.bufferSize(configuration))
    sequence = file.firstSequence
  }

  func turn() -> WorkerTurn {
    guard !hasFailed else { return .ended }
    receive()
    switch batcher.next(now: environment.now()) {
    case .wait:
      if isClosed {
        if unmarkedSince != nil, journal.state.withLockedValue({ $0.endsWithMarker }) { mark() }
        return .ended
      }
      guard let unmarkedSince, markerDelay > .zero else { return .wait(until: nil) }
      let due = unmarkedSince + markerDelay
      guard due <= environment.now() else { return .wait(until: due) }
      mark()
    case .waitUntil(let due):
      // Closed: nobody else will join the group.
      if isClosed { write(count: batcher.count) } else { return .wait(until: due) }
    case .write(let count): write(count: count)
    }
    return hasFailed ? .ended : .again
  }

  private static func bufferSize(_ configuration: BookieConfiguration) -> Int {
    JournalFormat.recordSize(payload: configuration.journalMaxGroupBytes) + JournalFormat.alignment
  }

  /// Puts a marker behind the last record. Nobody waits for it.
  private func mark() {
    unmarkedSince = nil
    switch store([], 0, isMarker: true) {
    case .synced:
      journal.state.withLockedValue { state in
        state.mark = JournalMark(sequence: sequence - 1, file: file.firstSequence, offset: UInt64(file.offset))
        state.statistics.markers += 1
      }
    // Without space there is none: it only helps where a disk has lost what it said was on it.
    case .refused(let error): journal.refused(error)
    case .failed(let error):
      hasFailed = true
      journal.failed(error)
    }
  }

  /// Takes what was handed over.
  private func receive() {
    guard !isClosed else { return }
    guard let appends = mailbox.take() else {
      isClosed = true
      return
    }
    guard !appends.isEmpty else { return }
    let now = environment.now()
    for append in appends {
      batcher.enqueued(bytes: append.segment?.byteCount ?? 0, entries: append.entries, now: now)
      pending.append(append)
    }
  }

  /// Writes, syncs and answers the first `count` appends.
  private func write(count: Int) {
    let start = environment.now()
    batcher.began(count: count, now: start)
    var group: [JournalAppend] = []
    group.reserveCapacity(count)
    for _ in 0..<min(count, pending.count) { group.append(pending.removeFirst()) }
    let payload = group.reduce(0) { $0 + ($1.segment?.byteCount ?? 0) }
    switch payload > 0 ? store(group, payload) : .synced(0) {
    case .synced(let written):
      if written > 0 { unmarkedSince = environment.now() }
      note(group, written, start)
      answer(group, isDurable: true)
    case .refused(let error):
      journal.state.withLockedValue { state in
        for append in group { state.statistics.refusedEntries += Int64(append.entries) }
      }
      journal.refused(error)
      answer(group, isDurable: false)
    case .failed(let error):
      hasFailed = true
      journal.failed(error)
      return
    }
    if payload > 0 { journal.finished(payload) }
  }

  private func note(_ group: [JournalAppend], _ written: Int, _ start: NIODeadline) {
    let end = environment.now()
    journal.state.withLockedValue { state in
      if written > 0 {
        state.mark = JournalMark(sequence: sequence - 1, file: file.firstSequence, offset: UInt64(file.offset))
        state.statistics.syncs += 1
        state.statistics.bytes += Int64(written)
        state.statistics.syncLatency.record(nanoseconds: (end - start).nanoseconds)
      }
      for append in group where append.entries > 0 {
        state.statistics.entries += Int64(append.entries)
        state.statistics.queueLatency.record(nanoseconds: (start - append.at).nanoseconds, times: append.entries)
        state.statistics.addLatency.record(nanoseconds: (end - append.at).nanoseconds, times: append.entries)
      }
    }
  }

  private func store(_ group: [JournalAppend], _ payload: Int, isMarker: Bool = false) -> Outcome {
    let size = JournalFormat.recordSize(payload: payload)
    if size > buffer.bytes.count { buffer = AlignedBuffer(capacity: size) }
    let checksum = lay(group, payload, size)
    do throws(BookieError) {
      // All that can meet a full disk comes before the sync, and leaves the journal as it was.
      if !file.fits(size, limit: journal.configuration.journalMaxFileSize) { try roll() }
      try file.reserve(size)
      JournalFormat.seal(
        UnsafeMutableRawBufferPointer(rebasing: buffer.bytes[0..<size]), payload: payload, isMarker: isMarker,
        checksum: checksum, logID: file.logID, sequence: sequence, offset: file.offset)
      try file.write(UnsafeRawBufferPointer(rebasing: buffer.bytes[0..<size]))
    } catch {
      return error.isOutOfSpace ? .refused(error) : .failed(error)
    }
    do throws(BookieError) {
      if let fault = journal.configuration.faults.beforeJournalSync { try fault() }
      try file.sync(size)
    } catch {
      return .failed(error)
    }
    sequence += 1
    if buffer.bytes.count > 4 * Self.bufferSize(journal.configuration) {
      buffer = AlignedBuffer(capacity: Self.bufferSize(journal.configuration))
    }
    return .synced(size)
  }

  /// Copies the group behind the place of the record's header. Returns its checksum, put together from those of its parts.
  private func lay(_ group: [JournalAppend], _ payload: Int, _ size: Int) -> UInt32 {
    var offset = JournalFormat.payloadOffset(recordSize: size)
    var checksum: UInt32 = 0
    let bytes = buffer.bytes
    for append in group {
      guard let segment = append.segment else { continue }
      checksum = CRC32C.combine(checksum, segment.checksum, lengthOfB: segment.byteCount)
      segment.forEachPiece { piece in
        UnsafeMutableRawBufferPointer(rebasing: bytes[offset..<offset + piece.count]).copyMemory(from: piece)
        offset += piece.count
      }
    }
    buffer.zero(offset..<size)
    return checksum
  }

  private func roll() throws(BookieError) {
    // Meanwhile no other file becomes the spare one.
    let spare = journal.state.withLockedValue { $0.spare }
    let next = try journal.newFile(first: sequence, recycled: spare)
    journal.state.withLockedValue { state in
      if spare != nil { state.spare = nil }
      state.olderFiles.append(file.firstSequence)
      state.currentFile = sequence
    }
    file = next
    journal.logger.debug("Journal file begins.", metadata: ["path": "\(file.path)"])
  }

  /// One message per connection, however many of its batches were in the group.
  private func answer(_ group: [JournalAppend], isDurable: Bool) {
    var targets: [ObjectIdentifier: Int] = [:]
    var replies: [(target: any ReplyTarget, replies: [BookieReply])] = []
    for append in group {
      switch append.completion {
      case .call(let body): body(isDurable)
      case .receipts(let target, let receipts, let refusal):
        let reply = isDurable ? receipts : refusal()
        if let index = targets[ObjectIdentifier(target)] {
          replies[index].replies.append(reply)
        } else {
          targets[ObjectIdentifier(target)] = replies.count
          replies.append((target, [reply]))
        }
      }
    }
    for item in replies { item.target.deliver(item.replies) }
  }
}

import Logging
import NIOConcurrencyHelpers
import NIOCore

/// What the journal makes durable in one piece, and whom it tells.
struct JournalAppend {
  /// The bytes; nil only waits until everything appended before is synced.
  var segment: EntrySegment?
  /// Number of entries in it.
  var entries: Int
  /// When it was handed over.
  var at: NIODeadline
  /// What happens after the sync.
  var completion: Completion

  enum Completion {
    /// The receipts of a batch of adds go to their connection.
    case receipts(any ReplyTarget, BookieReply)
    /// Called on the journal's thread; must be quick.
    case call(@Sendable () -> Void)
  }
}

/// The write-ahead log of a bookie. One thread writes and syncs; whatever was handed over during a sync is in the next.
///
/// Nobody is answered before the sync. If a sync fails the failure action is called, and nothing is ever answered again.
final class Journal: Sendable {
  /// Counters of the thread.
  struct Statistics: Sendable {
    var syncs: Int64 = 0
    var bytes: Int64 = 0
    var syncLatency = LatencyHistogram()
    var addLatency = LatencyHistogram()
  }

  private struct State {
    var mark: JournalMark
    var statistics = Statistics()
    /// Files that are complete, oldest first, by first sequence.
    var olderFiles: [UInt64] = []
    /// The file being written, also before its first record is synced.
    var currentFile: UInt64 = 0
    var spare: String?
  }

  private let configuration: BookieConfiguration
  private let mailbox = Mailbox<JournalAppend>()
  private let state: NIOLockedValueBox<State>
  private let onFailure: @Sendable (String) -> Void
  private let logger: Logger
  private let thread: NIOLockedValueBox<WorkerThread?> = NIOLockedValueBox(nil)

  /// A journal whose next record follows `mark`. Call `start` before anything else.
  init(
    configuration: BookieConfiguration, after mark: JournalMark, spare: String?, logger: Logger,
    onFailure: @escaping @Sendable (String) -> Void
  ) {
    self.configuration = configuration
    self.logger = logger
    self.onFailure = onFailure
    state = NIOLockedValueBox(State(mark: mark, spare: spare))
  }

  /// Creates the first file and starts the thread.
  func start() throws(BookieError) {
    let (next, spare) = state.withLockedValue { state in
      defer { state.spare = nil }
      return (state.mark.sequence + 1, state.spare)
    }
    let file = try JournalFile(
      directory: configuration.journalDirectory, firstSequence: next, recycled: spare,
      preallocation: configuration.journalPreallocation)
    state.withLockedValue { state in
      state.mark = JournalMark(sequence: next - 1, file: next, offset: UInt64(file.offset))
      state.currentFile = next
    }
    let worker = WorkerThread(name: "journal") { [self] in
      var writer = JournalWriter(journal: self, file: file)
      writer.run()
    }
    thread.withLockedValue { $0 = worker }
  }

  /// Hands bytes over. Appends are synced in the order of the calls. Any thread; never blocks on the disk.
  func append(_ append: JournalAppend) {
    mailbox.push(append)
  }

  /// Everything up to here is on the device.
  var syncedMark: JournalMark { state.withLockedValue { $0.mark } }

  var statistics: Statistics { state.withLockedValue { $0.statistics } }

  var queueLength: Int { mailbox.count }

  /// Writes what is queued and ends the thread. Blocks.
  func close() {
    mailbox.close()
    thread.withLockedValue { $0 }?.join()
  }

  /// Forgets files whose every record is at or before `mark`; one of them is kept to be written again. Blocks.
  func release(before mark: JournalMark) throws(BookieError) {
    let (released, keep) = state.withLockedValue { state -> ([UInt64], Bool) in
      var ends = state.olderFiles.dropFirst().map { $0 }
      ends.append(state.currentFile)
      let count = zip(state.olderFiles, ends).prefix { _, next in next <= mark.sequence + 1 }.count
      let released = Array(state.olderFiles.prefix(count))
      state.olderFiles.removeFirst(count)
      return (released, state.spare == nil)
    }
    guard let last = released.last else { return }
    for first in released where first != last || !keep {
      try Directory.remove(configuration.journalDirectory + "/" + JournalFormat.fileName(first: first))
    }
    if keep {
      let spare = configuration.journalDirectory + "/" + Self.spareName
      try Directory.rename(configuration.journalDirectory + "/" + JournalFormat.fileName(first: last), to: spare)
      state.withLockedValue { $0.spare = spare }
    }
    try Directory.sync(configuration.journalDirectory)
  }

  static let spareName = "spare.free"

  /// The part of the journal that lives on its thread.
  private struct JournalWriter {
    let journal: Journal
    var file: JournalFile
    var pending: CircularBuffer<JournalAppend> = []
    var batcher: JournalBatcher
    var buffer: AlignedBuffer
    var sequence: UInt64

    init(journal: Journal, file: JournalFile) {
      self.journal = journal
      self.file = file
      let configuration = journal.configuration
      batcher = JournalBatcher(
        JournalBatcher.Limits(
          maxWait: TimeAmount(configuration.journalMaxGroupWait), maxBytes: configuration.journalMaxGroupBytes,
          flushWhenIdle: configuration.journalFlushWhenIdle, busyEntries: configuration.journalBusyGroupEntries))
      buffer = AlignedBuffer(capacity: configuration.journalMaxGroupBytes + 2 * JournalFormat.alignment)
      sequence = file.firstSequence
    }

    mutating func run() {
      while true {
        switch batcher.next(now: .now()) {
        case .wait:
          guard receive(until: nil) else { return }
        case .waitUntil(let due):
          if !receive(until: due) {
            // Closed: nobody else will join the group.
            guard write(count: batcher.count) else { return }
          }
        case .write(let count):
          guard write(count: count) else { return }
          _ = receive(until: .now())
        }
      }
    }

    /// Takes what was handed over; false once closed and empty.
    private mutating func receive(until due: NIODeadline?) -> Bool {
      guard let appends = journal.mailbox.take(until: due) else { return false }
      let now = NIODeadline.now()
      for append in appends {
        batcher.enqueued(bytes: append.segment?.byteCount ?? 0, entries: append.entries, now: now)
        pending.append(append)
      }
      return true
    }

    /// Writes, syncs and answers the first `count` appends; false if that failed.
    private mutating func write(count: Int) -> Bool {
      let start = NIODeadline.now()
      batcher.began(count: count, now: start)
      var group: [JournalAppend] = []
      group.reserveCapacity(count)
      for _ in 0..<min(count, pending.count) { group.append(pending.removeFirst()) }
      let payload = group.reduce(0) { $0 + ($1.segment?.byteCount ?? 0) }
      var written = 0
      if payload > 0 {
        do {
          written = try store(group, payload)
        } catch {
          journal.onFailure(
            "The journal cannot make entries durable, and a failed sync must not be repeated: \(error) "
              + "Check the disk and restart; everything acknowledged is on disk.")
          return false
        }
      }
      let end = NIODeadline.now()
      journal.state.withLockedValue { state in
        if written > 0 {
          state.mark = JournalMark(sequence: sequence - 1, file: file.firstSequence, offset: UInt64(file.offset))
          state.statistics.syncs += 1
          state.statistics.bytes += Int64(written)
          state.statistics.syncLatency.record(nanoseconds: (end - start).nanoseconds)
        }
        for append in group where append.entries > 0 {
          state.statistics.addLatency.record(nanoseconds: (end - append.at).nanoseconds, times: append.entries)
        }
      }
      answer(group)
      return true
    }

    private mutating func store(_ group: [JournalAppend], _ payload: Int) throws(BookieError) -> Int {
      let size = JournalFormat.aligned(JournalFormat.recordHeaderSize + payload)
      if !file.fits(size, limit: journal.configuration.journalMaxFileSize) { try roll() }
      if size > buffer.bytes.count { buffer = AlignedBuffer(capacity: size) }
      var offset = JournalFormat.recordHeaderSize
      let bytes = buffer.bytes
      for append in group {
        append.segment?.forEachPiece { piece in
          UnsafeMutableRawBufferPointer(rebasing: bytes[offset..<offset + piece.count]).copyMemory(from: piece)
          offset += piece.count
        }
      }
      buffer.zero(offset..<size)
      JournalFormat.seal(bytes, payload: payload, logID: file.logID, sequence: sequence)
      try file.append(
        UnsafeRawBufferPointer(rebasing: bytes[0..<size]), fault: journal.configuration.faults.beforeJournalSync)
      sequence += 1
      if buffer.bytes.count > 4 * journal.configuration.journalMaxGroupBytes {
        buffer = AlignedBuffer(capacity: journal.configuration.journalMaxGroupBytes + 2 * JournalFormat.alignment)
      }
      return size
    }

    private mutating func roll() throws(BookieError) {
      let spare = journal.state.withLockedValue { state in
        state.olderFiles.append(file.firstSequence)
        state.currentFile = sequence
        defer { state.spare = nil }
        return state.spare
      }
      file = try JournalFile(
        directory: journal.configuration.journalDirectory, firstSequence: sequence, recycled: spare,
        preallocation: journal.configuration.journalPreallocation)
      journal.logger.debug("Journal file begins.", metadata: ["path": "\(file.path)"])
    }

    /// One message per connection, however many of its batches were in the group.
    private func answer(_ group: [JournalAppend]) {
      var targets: [ObjectIdentifier: Int] = [:]
      var replies: [(target: any ReplyTarget, replies: [BookieReply])] = []
      for append in group {
        switch append.completion {
        case .call(let body): body()
        case .receipts(let target, let reply):
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
}

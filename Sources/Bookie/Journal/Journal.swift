import Atomics
import Logging
import NIOConcurrencyHelpers
import NIOCore
import Transport

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
    /// The receipts of a batch of adds go to their connection, or the refusal if the disk is full.
    case receipts(any ReplyTarget, BookieReply, refusal: @Sendable () -> BookieReply)
    /// Called on the journal's thread with whether it is durable; must be quick.
    case call(@Sendable (Bool) -> Void)
  }
}

/// One write-ahead log of a bookie. One thread writes and syncs; whatever was handed over during a sync is in the next.
///
/// Nobody is answered before the sync. If a sync fails the failure action is called, and nothing is ever answered again. A
/// full disk, which shows before the sync, refuses what was handed over, and nothing else.
final class Journal: Sendable {
  /// Counters of the thread.
  struct Statistics: Sendable {
    var syncs: Int64 = 0
    var bytes: Int64 = 0
    var entries: Int64 = 0
    var refusedEntries: Int64 = 0
    var filesCreated: Int64 = 0
    var markers: Int64 = 0
    var syncLatency = LatencyHistogram()
    var addLatency = LatencyHistogram()
    var queueLatency = LatencyHistogram()
  }

  struct State {
    var mark: JournalMark
    var statistics = Statistics()
    /// Files that are complete, oldest first, by first sequence.
    var olderFiles: [UInt64] = []
    /// The file being written, also before its first record is synced.
    var currentFile: UInt64 = 0
    /// Whether the journal ends as planned, with a marker behind its last record.
    var endsWithMarker = false
    var spare: String?
  }

  static let spareName = "spare.free"

  let configuration: BookieConfiguration
  let directory: String
  let mailbox = Mailbox<JournalAppend>()
  let state: NIOLockedValueBox<State>
  let logger: Logger
  private let onFailure: @Sendable (String) -> Void
  private let onFullDisk: @Sendable (String) -> Void
  private let onRoom: @Sendable () -> Void
  /// When entries were last synced, in nanoseconds of the clock's uptime.
  private let lastSyncAt = ManagedAtomic<UInt64>(0)
  /// Bytes that were handed over and are not synced.
  private let queuedBytes = ManagedAtomic<Int>(0)

  /// The journal in `directory`, whose next record follows `mark`. Call `start` before anything else.
  /// - Parameters:
  ///   - spare: an old file to be written again.
  ///   - onFailure: called when nothing can be made durable any more.
  ///   - onFullDisk: called with the directory when something was refused because it has no space.
  ///   - onRoom: called, on the journal's thread, when it was full and is not any more.
  init(
    configuration: BookieConfiguration, directory: String, after mark: JournalMark, spare: String?, logger: Logger,
    onFailure: @escaping @Sendable (String) -> Void, onFullDisk: @escaping @Sendable (String) -> Void,
    onRoom: @escaping @Sendable () -> Void = {}
  ) {
    self.configuration = configuration
    self.directory = directory
    self.logger = logger
    self.onFailure = onFailure
    self.onFullDisk = onFullDisk
    self.onRoom = onRoom
    state = NIOLockedValueBox(State(mark: mark, spare: spare))
  }

  /// Goes on behind what was replayed. The files that held it go when it is flushed.
  func replayed(_ outcome: JournalReplay.Outcome, spare: String?) {
    state.withLockedValue { state in
      state.mark = JournalMark(sequence: outcome.lastSequence)
      // A file without records is replaced by the next one, which has its name.
      state.olderFiles = outcome.files.filter { $0 <= outcome.lastSequence }
      state.spare = spare
    }
  }

  /// Creates the first file, and begins.
  func start(_ name: String, _ workers: StorageWorkers) throws(BookieError) {
    let (next, spare) = state.withLockedValue { state in
      defer { state.spare = nil }
      return (state.mark.sequence + 1, state.spare)
    }
    let file = try newFile(first: next, recycled: spare)
    state.withLockedValue { state in
      state.mark = JournalMark(sequence: next - 1, file: next, offset: UInt64(file.offset))
      state.currentFile = next
    }
    workers.start(name, JournalWriter(journal: self, file: file), priority: .urgent)
  }

  func newFile(first sequence: UInt64, recycled: String?) throws(BookieError) -> JournalFile {
    let file = try JournalFile(
      directory: directory, firstSequence: sequence, recycled: recycled,
      preallocation: configuration.journalPreallocation, mode: configuration.journalDirectIO ? .direct : .write,
      environment: configuration.environment)
    state.withLockedValue { $0.statistics.filesCreated += 1 }
    return file
  }

  /// Hands bytes over. Appends are synced in the order of the calls. Any thread; never blocks on the disk.
  func append(_ append: JournalAppend) {
    if let segment = append.segment { queuedBytes.wrappingIncrement(by: segment.byteCount, ordering: .relaxed) }
    mailbox.push(append)
  }

  /// When entries were last made durable.
  var lastSync: NIODeadline { .uptimeNanoseconds(lastSyncAt.load(ordering: .relaxed)) }

  /// Entries are durable now.
  func synced(at now: NIODeadline) { lastSyncAt.store(now.uptimeNanoseconds, ordering: .relaxed) }

  /// Bytes that were handed over and are not synced.
  var memoryUsed: Int { queuedBytes.load(ordering: .relaxed) }

  /// Whether further adds should wait. Recovery has an eighth to itself.
  func isFull(isUrgent: Bool) -> Bool {
    let limit = configuration.journalMaxMemory
    return memoryUsed >= (isUrgent ? limit + limit / 8 : limit)
  }

  /// So many bytes are synced, or refused.
  func finished(_ bytes: Int) {
    let after = queuedBytes.wrappingDecrementThenLoad(by: bytes, ordering: .relaxed)
    let limit = configuration.journalMaxMemory
    if after < limit + limit / 8, after + bytes >= limit { onRoom() }
  }

  /// Everything up to here is on the device.
  var syncedMark: JournalMark { state.withLockedValue { $0.mark } }

  var statistics: Statistics { state.withLockedValue { $0.statistics } }

  var queueLength: Int { mailbox.count }

  /// Forgets files whose every record is at or before `mark`; one of them is kept to be written again. Blocks.
  func release(before mark: JournalMark) throws(BookieError) {
    let (released, keep) = state.withLockedValue { state -> ([UInt64], Bool) in
      // While journals are replayed there is none to go on in: a journal without a file would be taken for a lost one.
      guard state.currentFile > 0 else { return ([], false) }
      var ends = state.olderFiles.dropFirst().map { $0 }
      ends.append(state.currentFile)
      let count = zip(state.olderFiles, ends).prefix { _, next in next <= mark.sequence + 1 }.count
      let released = Array(state.olderFiles.prefix(count))
      state.olderFiles.removeFirst(count)
      return (released, state.spare == nil)
    }
    guard let last = released.last else { return }
    let files = configuration.environment.files
    for first in released where first != last || !keep {
      try files.remove(directory + "/" + JournalFormat.fileName(first: first))
    }
    if keep {
      let spare = directory + "/" + Self.spareName
      try files.rename(directory + "/" + JournalFormat.fileName(first: last), to: spare)
      state.withLockedValue { $0.spare = spare }
    }
    try files.syncDirectory(directory)
  }

  /// Nothing can be made durable any more.
  func failed(_ error: BookieError) {
    onFailure(
      "The journal in \(directory) cannot make entries durable, and a failed sync must not be repeated: \(error) "
        + "Check the disk and restart; everything acknowledged is on disk.")
  }

  /// Something was refused for want of space.
  func refused(_ error: BookieError) {
    logger.error("The journal has no space; adds are refused.", metadata: ["error": "\(error)"])
    onFullDisk(directory)
  }
}

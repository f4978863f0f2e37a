import BookieWire
import Logging
import NIOConcurrencyHelpers
import NIOCore

@testable import Bookie

/// The real storage on a disk in memory, without threads: nothing happens but what a test asks for, in one order.
final class StorageRig {
  let disk: MemoryDisk
  private(set) var storage: BookieStorage?
  private(set) var configuration: BookieConfiguration
  private let clock = NIOLockedValueBox(NIODeadline.uptimeNanoseconds(1_000_000_000))
  private let failures = NIOLockedValueBox<[String]>([])
  private var nextID: UInt64 = 1

  /// The failures that would have ended the process.
  var reports: [String] { failures.withLockedValue { $0 } }

  init(disk: MemoryDisk = MemoryDisk(), seed: UInt64 = 1, _ adjust: (inout BookieConfiguration) -> Void = { _ in })
    throws
  {
    self.disk = disk
    var configuration = BookieConfiguration(
      bookieID: "b", journalDirectories: ["/j1", "/j2"], ledgerDirectories: ["/l1", "/l2"])
    configuration.journalPreallocation = 16 * 1024
    configuration.journalMaxFileSize = 64 * 1024
    configuration.writeCacheSize = 64 * 1024
    configuration.entryLogSizeLimit = 32 * 1024
    configuration.minorCompactionInterval = .zero
    configuration.minorCompactionThreshold = 0
    configuration.majorCompactionThreshold = 0
    configuration.compactionRateByBytes = 0
    configuration.scrubInterval = .zero
    configuration.scrubRateByBytes = 0
    let random = NIOLockedValueBox(SeededRandom(seed))
    let clock = clock
    configuration.environment = StorageEnvironment(
      files: disk, now: { clock.withLockedValue { $0 } },
      wallClock: { Int64(clock.withLockedValue { $0 }.uptimeNanoseconds / 1_000_000) },
      random: { random.withLockedValue { $0.next() | 1 } }, hasThreads: false)
    adjust(&configuration)
    self.configuration = configuration
    try CheckpointFile.write(
      configuration.journalDirectories.map { _ in JournalMark() }, configuration: configuration)
    try open()
  }

  func open() throws {
    let failures = failures
    storage = nil
    storage = try BookieStorage.open(
      configuration: configuration, logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() },
      onFailure: { sentence in failures.withLockedValue { $0.append(sentence) } })
  }

  /// Starts it anew with other settings.
  func reopen(_ adjust: (inout BookieConfiguration) -> Void) throws {
    adjust(&configuration)
    try open()
  }

  /// Forgets everything in memory, and what of the disk chance takes.
  func crash(_ random: inout SeededRandom) throws {
    storage = nil
    disk.crash(&random)
    try open()
  }

  /// Lets everything happen that can.
  func settle() { _ = storage?.step() }

  /// Lets time pass.
  func pass(_ time: TimeAmount) {
    clock.withLockedValue { $0 = $0 + time }
    settle()
  }

  static func payload(_ ledgerID: Int64, _ entryID: Int64) -> ByteBuffer {
    ByteBuffer(repeating: UInt8(truncatingIfNeeded: ledgerID &* 31 &+ entryID), count: 100 + Int(entryID % 7) * 150)
  }

  /// Hands an add over; `Answers` gets the receipt when it comes.
  func add(_ ledgerID: Int64, _ entryID: Int64, flags: BookieRequestFlags = [], to answers: Answers) {
    guard let storage else { return }
    var session = BookieSession(storage: storage)
    nextID += 1
    _ = session.receive(
      BookieHarness.add(ledgerID, entryID, Self.payload(ledgerID, entryID), id: nextID, flags: flags), from: answers,
      capacity: 256)
    session.flush(to: answers)
  }

  /// Adds and waits; nil if no answer comes.
  func addNow(_ ledgerID: Int64, _ entryID: Int64, flags: BookieRequestFlags = []) -> BookieReturnCode? {
    let answers = Answers()
    add(ledgerID, entryID, flags: flags, to: answers)
    settle()
    // After a large group the journal collects the next one for a moment.
    if answers.codes.isEmpty { pass(.milliseconds(2)) }
    return answers.codes.first?.code
  }

  func read(_ ledgerID: Int64, _ entryID: Int64, flags: BookieRequestFlags = []) -> ReadResponse? {
    guard let storage else { return nil }
    let answers = Answers()
    storage.read(
      .read(
        ReadRequest(
          requestID: 1, flags: flags, ledgerID: ledgerID, entryID: entryID,
          masterKey: flags.contains(.fencing) ? BookieHarness.key : nil)), from: answers)
    settle()
    return answers.reads.first
  }

  /// Whether the entry is there, whole.
  func has(_ ledgerID: Int64, _ entryID: Int64) -> Bool {
    guard let read = read(ledgerID, entryID), read.code == .ok, let entry = read.entry else { return false }
    let decoded = try? BookieHarness.codec.decode(entry, ledgerID: ledgerID, entryID: entryID)
    return decoded?.payload == Self.payload(ledgerID, entryID)
  }

  func checkpoint() {
    storage?.flusher?.submit(.checkpoint {})
    settle()
  }

  func delete(_ ledgers: [Int64]) {
    storage?.flusher?.submit(.delete(ledgers) {})
    settle()
  }

  func compact(_ kind: CompactionKind = .major) {
    storage?.compactor?.mailbox.push(.trigger(kind) {})
    settle()
  }

  func scrub() {
    storage?.scrubber?.mailbox.push(.trigger {})
    settle()
  }
}

/// Collects answers.
final class Answers: ReplyTarget {
  private let state = NIOLockedValueBox<(codes: [AddResponse], reads: [ReadResponse])>(([], []))
  let wantsEncodedReceipts = false

  var codes: [AddResponse] { state.withLockedValue { $0.codes } }
  var reads: [ReadResponse] { state.withLockedValue { $0.reads } }

  func deliver(_ replies: [BookieReply]) {
    state.withLockedValue { state in
      for case .responses(let responses) in replies {
        for response in responses {
          switch response {
          case .add(let add): state.codes.append(add)
          case .read(let read): state.reads.append(read)
          case .batchRead, .auth: break
          }
        }
      }
    }
  }
}

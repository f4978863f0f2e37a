import BookieWire
import Logging
import NIOCore

@testable import Bookie

/// A clock that somebody else moves. For one thread only.
final class SimulatedClock: @unchecked Sendable {
  var nanoseconds: UInt64 = 1_000_000_000
  /// How wrong a machine's time of day is, in milliseconds.
  var skewMs: Int64 = 0

  var now: NIODeadline { .uptimeNanoseconds(nanoseconds) }
}

/// A bookie's real storage on a simulated disk: it does nothing but what it is told, and can be killed at any change of the
/// disk.
final class SimulatedBookie {
  static let key = LedgerMasterKey(password: [])
  static let codec = LedgerEntryCodec(digest: .crc32c)

  let id: String
  let disk: SimulatedDisk
  let clock: SimulatedClock
  /// Answers a fencing read before its fence is on the disk.
  var answersBeforeFence = false
  private(set) var storage: BookieStorage?
  private let configuration: BookieConfiguration
  private var reports: [String] = []
  private var life = 0

  init(id: String, chance: Chance, tally: Tally, clock: SimulatedClock) throws {
    self.id = id
    self.clock = clock
    let disk = SimulatedDisk(chance, tally)
    self.disk = disk
    let journals = chance.percent(80) ? ["/j1"] : ["/j1", "/j2"]
    let ledgers = chance.percent(80) ? ["/l1"] : ["/l1", "/l2"]
    var configuration = BookieConfiguration(bookieID: id, journalDirectories: journals, ledgerDirectories: ledgers)
    configuration.journalMaxGroupBytes = 16 * 1024
    configuration.journalPreallocation = chance.pick([4096, 8192])
    configuration.journalMaxFileSize = chance.pick([12, 24, 64]) * 1024
    configuration.journalBusyGroupEntries = 4
    configuration.writeCacheSize = chance.pick([4, 16, 64]) * 1024
    configuration.entryLogSizeLimit = chance.pick([4, 16, 64]) * 1024
    configuration.readCacheSize = chance.pick([2, 32]) * 1024
    configuration.readAheadBytes = chance.pick([512, 4096])
    configuration.flushInterval = .milliseconds(chance.pick([100, 500, 5000]))
    configuration.diskCheckInterval = .milliseconds(300)
    configuration.majorCompactionInterval = .milliseconds(700)
    configuration.minorCompactionThreshold = 0
    configuration.majorCompactionThreshold = 0.9
    configuration.compactionRateByBytes = 0
    configuration.scrubInterval = .zero
    configuration.scrubRateByBytes = 0
    configuration.readThreads = 1
    configuration.environment = StorageEnvironment(
      files: disk, now: { clock.now },
      wallClock: { Int64(clock.nanoseconds / 1_000_000) + clock.skewMs },
      random: { disk.chance.next() | 1 }, hasThreads: false)
    self.configuration = configuration
    try CheckpointFile.write(journals.map { _ in JournalMark() }, configuration: configuration)
    try start()
  }

  var isRunning: Bool { storage != nil }

  /// Whether it has ended itself, or its disk has died.
  var hasDied: Bool { disk.isDead || !reports.isEmpty }

  /// Moves the mark of every checkpoint to the end of the journals, whatever is flushed.
  func movesMarkTooFar() {
    disk.substitute = { [weak self] path in
      guard path.hasSuffix("lastMark.tmp"), let marks = self?.storage?.syncedMarks else { return nil }
      return marks.flatMap { $0.encoded() }
    }
  }

  /// Starts on what the disk holds. Throws if it cannot; the disk may have died meanwhile.
  func start() throws {
    life += 1
    reports = []
    storage = nil
    let current = life
    let report = Report { [weak self] sentence in
      if self?.life == current { self?.reports.append(sentence) }
    }
    storage = try BookieStorage.open(
      configuration: configuration, logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() },
      onFailure: { report.body($0) })
  }

  private final class Report: @unchecked Sendable {
    let body: (String) -> Void
    init(_ body: @escaping (String) -> Void) { self.body = body }
  }

  /// The process is gone; what was not synced may be.
  func crash() {
    life += 1
    disk.kill()
    // Breaks the cycles of what is in memory; nothing of it reaches the disk.
    storage?.close(checkpoint: false)
    storage = nil
    disk.crash()
  }

  /// Hands a request over; the answer comes during this call or a later `step`, or never.
  func submit(_ request: BookieRequest, _ answer: @escaping (BookieResponse) -> Void) {
    if answersBeforeFence, case .read(var read) = request, read.flags.contains(.fencing) {
      pass(request) { _ in }
      read.flags.remove(.fencing)
      return pass(.read(read), answer)
    }
    pass(request, answer)
  }

  private func pass(_ request: BookieRequest, _ answer: @escaping (BookieResponse) -> Void) {
    guard let storage, !hasDied else { return }
    let current = life
    let target = Target { [weak self] response in
      // What a dead process would still say is not heard.
      guard let self, self.life == current, !self.hasDied else { return }
      answer(response)
    }
    var session = BookieSession(storage: storage)
    if let now = session.receive(request, from: target, capacity: 256) { answer(now) }
    session.flush(to: target)
  }

  /// Lets everything happen that can. Returns when something wants to happen next.
  @discardableResult
  func step() -> NIODeadline? { storage?.step() }

  /// Gives an answer to one request, with time going by if it must.
  func call(_ request: BookieRequest) -> BookieResponse? {
    var response: BookieResponse?
    submit(request) { response = $0 }
    for _ in 0..<3 where response == nil {
      step()
      if response == nil { clock.nanoseconds += 2_000_000 }
    }
    return response
  }

  func read(_ ledgerID: Int64, _ entryID: Int64, flags: BookieRequestFlags = []) -> ReadResponse? {
    let request = ReadRequest(
      requestID: 1, flags: flags, ledgerID: ledgerID, entryID: entryID,
      masterKey: flags.contains(.fencing) ? Self.key : nil)
    guard case .read(let read)? = call(.read(request)) else { return nil }
    return read
  }

  /// Collects answers.
  private final class Target: ReplyTarget, @unchecked Sendable {
    let wantsEncodedReceipts = false
    private let answer: (BookieResponse) -> Void

    init(_ answer: @escaping (BookieResponse) -> Void) { self.answer = answer }

    func deliver(_ replies: [BookieReply]) {
      for case .responses(let responses) in replies {
        for response in responses { answer(response) }
      }
    }
  }
}

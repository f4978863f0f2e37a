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

  /// What is mistaken in it, to prove that checks find it.
  struct Mistakes {
    /// Fencing reads are answered before the fence is on the disk.
    var answersBeforeFence = false
    /// The same, but only if there is nothing to return.
    var deniesBeforeFence = false
    /// Doubt is answered as "no such entry".
    var limboIsNegative = false
    var damageIsNegative = false
    /// Whatever is in the directories is taken for its own.
    var ignoresIdentity = false
  }

  let id: String
  /// What is in its directories at present: another one's after a mistake of an operator.
  var disk: SimulatedDisk
  let clock: SimulatedClock
  var mistakes = Mistakes()
  private(set) var storage: BookieStorage?
  /// Increases with each start and each crash.
  private(set) var life = 0
  private var configuration: BookieConfiguration
  private var cookie: Cookie?
  private var reports: [String] = []

  init(
    id: String, chance: Chance, tally: Tally, clock: SimulatedClock,
    _ change: (inout BookieConfiguration) -> Void = { _ in }
  ) throws {
    self.id = id
    self.clock = clock
    let disk = SimulatedDisk(chance, tally)
    self.disk = disk
    let journals = chance.percent(80) ? ["/j1"] : ["/j1", "/j2"]
    let ledgers = chance.percent(80) ? ["/l1"] : ["/l1", "/l2"]
    var configuration = BookieConfiguration(bookieID: id, journalDirectories: journals, ledgerDirectories: ledgers)
    configuration.journalMaxGroupBytes = chance.pick([2, 16]) * 1024
    configuration.journalPreallocation = chance.pick([4096, 8192])
    configuration.journalMaxFileSize = chance.pick([12, 24, 64]) * 1024
    configuration.journalBusyGroupEntries = chance.pick([2, 4, 64])
    configuration.writeCacheSize = chance.pick([4, 16, 64]) * 1024
    configuration.entryLogSizeLimit = chance.pick([2, 8, 64]) * 1024
    configuration.readCacheSize = chance.pick([2, 32]) * 1024
    configuration.readAheadBytes = chance.pick([512, 4096])
    configuration.flushInterval = .milliseconds(chance.pick([100, 500, 5000]))
    configuration.diskCheckInterval = .milliseconds(300)
    configuration.minorCompactionInterval = .milliseconds(chance.pick([150, 400]))
    configuration.minorCompactionThreshold = chance.pick([0, 0.4])
    configuration.majorCompactionInterval = .milliseconds(chance.pick([300, 700]))
    configuration.majorCompactionThreshold = 0.9
    configuration.compactionRateByBytes = 0
    configuration.scrubInterval = .zero
    configuration.scrubRateByBytes = 0
    configuration.readThreads = 1
    change(&configuration)
    self.configuration = configuration
    use(disk)
    cookie = try Identity(self.configuration).create(instance: String(chance.next(), radix: 16))
    try start()
  }

  private func use(_ disk: SimulatedDisk) {
    self.disk = disk
    let clock = clock
    configuration.environment = StorageEnvironment(
      files: disk, now: { clock.now },
      wallClock: { Int64(clock.nanoseconds / 1_000_000) + clock.skewMs },
      random: { disk.chance.next() | 1 }, hasThreads: false)
  }

  /// Two bookies, which do not run, get each other's disks.
  func swapDisks(with other: SimulatedBookie) {
    let mine = disk
    use(other.disk)
    other.use(mine)
  }

  var isRunning: Bool { storage != nil }

  /// Whether it has ended itself, or its disk has died.
  var hasDied: Bool { disk.isDead || !reports.isEmpty }

  /// Changes every checkpoint that is written.
  func changeMarks(_ change: @escaping ([JournalMark]) -> [JournalMark]) {
    disk.substitute = { [weak self] path in
      guard path.hasSuffix("lastMark.tmp"), let marks = self?.storage?.syncedMarks else { return nil }
      return change(marks).flatMap { $0.encoded() }
    }
  }

  /// Starts on what the disk holds. Throws if it cannot; the disk may have died meanwhile.
  func start() throws {
    life += 1
    reports = []
    storage = nil
    do {
      // What the cluster knows is never made anew.
      _ = try Identity(configuration).isFirstStart(stored: cookie)
    } catch BookieError.identity(let sentence) {
      guard mistakes.ignoresIdentity else { throw BookieError.identity(sentence) }
      if !disk.exists(configuration.indexDirectory + "/lastMark") {
        cookie = try Identity(configuration).create(instance: "again")
      }
    }
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
    if case .read(var read) = request, read.flags.contains(.fencing) {
      let fence = read
      read.flags.remove(.fencing)
      if mistakes.answersBeforeFence || (mistakes.deniesBeforeFence && isDenied(read)) {
        pass(.read(fence)) { _ in }
        return pass(.read(read), answer)
      }
    }
    pass(request, answer)
  }

  private func isDenied(_ read: ReadRequest) -> Bool {
    var isDenied = false
    pass(.read(read)) { response in
      if case .read(let answer) = response { isDenied = answer.code.isNegative }
    }
    return isDenied
  }

  private func pass(_ request: BookieRequest, _ answer: @escaping (BookieResponse) -> Void) {
    guard let storage, !hasDied else { return }
    let current = life
    let target = Target { [weak self] response in
      // What a dead process would still say is not heard.
      guard let self, self.life == current, !self.hasDied else { return }
      answer(self.mistaken(response))
    }
    var session = BookieSession(storage: storage)
    if let now = session.receive(request, from: target, capacity: 256) { answer(now) }
    session.flush(to: target)
  }

  private func mistaken(_ response: BookieResponse) -> BookieResponse {
    guard case .read(var read) = response else { return response }
    if read.code == .unknownLedgerState, mistakes.limboIsNegative { read.code = .noEntry }
    if read.code == .ioError, mistakes.damageIsNegative { read.code = .noEntry }
    return .read(read)
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

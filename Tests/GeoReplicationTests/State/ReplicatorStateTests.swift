import GeoReplication
import NIOCore
import Testing
import TopicLog

/// A log, a remote and the machine between them, with no I/O: what the tests and the random runs drive.
private struct World {
  struct Entry {
    var position: Position
    var isLocal: Bool
    var storedAtMs: Int64
  }

  var now = NIODeadline.uptimeNanoseconds(1_000_000_000)
  var nowMs: Int64 = 1_000
  var log: [Entry] = []
  var state: ReplicatorState
  var cursor = Position.earliest
  var remote: [Position] = []
  var epoch: UInt64 = 0
  var isOpen = false
  /// Sent and not yet arrived: entry and what it follows.
  var wire: [(position: Position, previous: Position)] = []
  /// Acknowledged by the remote and not yet heard of.
  var receipts: [Position] = []
  var gaps = 0

  init(configuration: ReplicatorState.Configuration = .init()) {
    state = ReplicatorState(
      markDelete: .earliest, epoch: 0, configuration: configuration, now: now, nowMs: nowMs)
  }

  var head: LagState.Head {
    let local = UInt64(log.filter(\.isLocal).count)
    return .init(position: log.last?.position ?? .earliest, localMessages: local, localBytes: local * 100)
  }

  mutating func append(local: Bool = true) {
    log.append(Entry(position: Position(ledgerID: 1, entryID: Int64(log.count)), isLocal: local, storedAtMs: nowMs))
  }

  mutating func perform(_ actions: [ReplicatorState.Action]) {
    for action in actions {
      switch action {
      case .openStream(let epoch): self.epoch = epoch
      case .closeStream: lose()
      case .markDelete(let position):
        #expect(position >= cursor || !remote.isEmpty)
        cursor = position
      case .read: read()
      case .retry: break
      case .gap: gaps += 1
      }
    }
  }

  mutating func open() {
    isOpen = true
    perform(
      state.opened(
        epoch: epoch, watermark: remote.last, firstAvailable: log.first?.position, head: head.position, now: now))
  }

  mutating func lose() {
    isOpen = false
    wire.removeAll()
    receipts.removeAll()
  }

  mutating func read(limit: Int = 10) {
    guard let index = log.firstIndex(where: { $0.position > state.lastRead }) else { return }
    guard state.nextRead(firstUnread: log[index].position, head: head.position) != nil else { return }
    for i in index..<min(index + limit, log.count) {
      let entry = log[i]
      let local = UInt64(log[...i].filter(\.isLocal).count)
      let facts = ReplicatorState.EntryFacts(
        position: entry.position, bytes: 100, messages: 1, storedAtMs: entry.storedAtMs, localMessages: local,
        localBytes: local * 100)
      if entry.isLocal {
        guard let previous = state.send(facts, now: now) else { break }
        wire.append((entry.position, previous))
      } else {
        perform(state.skip(facts))
      }
    }
    state.readEnded()
  }

  mutating func arrive() {
    guard isOpen, !wire.isEmpty else { return }
    let entry = wire.removeFirst()
    #expect(entry.previous == remote.last ?? .earliest, "the receiver would refuse it")
    remote.append(entry.position)
    receipts.append(entry.position)
  }

  mutating func hear() {
    guard isOpen, let last = receipts.last else { return }
    receipts.removeAll()
    perform(state.stored(through: last, epoch: epoch, now: now))
  }

  mutating func advance(_ milliseconds: Int64) {
    now = now + .milliseconds(milliseconds)
    nowMs += milliseconds
  }
}

@Suite struct ReplicatorStateTests {
  @Test func sendsInOrderAndMovesTheCursorOnlyWhenStored() {
    var world = World()
    world.append()
    world.append()
    world.perform(world.state.start(now: world.now))
    world.open()
    #expect(world.wire.map(\.position.entryID) == [0, 1])
    #expect(world.wire.map(\.previous) == [.earliest, Position(ledgerID: 1, entryID: 0)])
    #expect(world.cursor == .earliest)
    world.arrive()
    world.advance(75)
    world.hear()
    #expect(world.cursor == Position(ledgerID: 1, entryID: 0))
    #expect(world.state.inFlightCount == 1)
    #expect(world.state.window.minimumRoundTrip == .milliseconds(75))
  }

  @Test func resumesAfterTheRemotesWatermarkNotAfterTheCursor() {
    var world = World()
    for _ in 0..<5 { world.append() }
    world.perform(world.state.start(now: world.now))
    world.open()
    for _ in 0..<3 { world.arrive() }  // stored, but the word is lost
    world.lose()
    world.perform(world.state.failed(epoch: world.epoch, reason: "connection lost", now: world.now))
    #expect(world.state.phase == .backingOff)
    #expect(world.state.reason == "connection lost")
    world.perform(world.state.retry(now: world.now))
    world.open()
    #expect(world.cursor == Position(ledgerID: 1, entryID: 2))
    #expect(world.wire.map(\.position.entryID) == [3, 4])
  }

  @Test func skippedEntriesWaitForTheSentOnesBeforeThem() {
    var world = World()
    world.append(local: false)
    world.append()
    world.append(local: false)
    world.perform(world.state.start(now: world.now))
    world.open()
    #expect(world.cursor.entryID == 0)
    world.arrive()
    world.hear()
    #expect(world.cursor.entryID == 2)
  }

  @Test func aRemoteThatLostDataGetsItAgainOrTheGapIsRecorded() {
    var world = World()
    for _ in 0..<4 { world.append() }
    world.perform(world.state.start(now: world.now))
    world.open()
    while !world.wire.isEmpty { world.arrive() }
    world.hear()
    #expect(world.cursor.entryID == 3)
    world.remote.removeLast(2)
    world.lose()
    world.perform(world.state.failed(epoch: world.epoch, reason: "restart", now: world.now))
    world.perform(world.state.retry(now: world.now))
    world.open()
    #expect(world.wire.map(\.position.entryID) == [2, 3])
    #expect(world.gaps == 0)
  }

  @Test func whatWasSkippedBehindTheWatermarkIsNotReadAgain() {
    var world = World()
    world.append()
    for _ in 0..<50 { world.append(local: false) }
    world.perform(world.state.start(now: world.now))
    world.open()
    world.arrive()
    world.hear()
    for _ in 0..<10 { world.read() }
    #expect(world.cursor.entryID == 50)
    // A new process knows from the cursor what the remote's watermark must be at least.
    world.state = ReplicatorState(
      markDelete: world.cursor, lastStored: world.state.lastStored, epoch: 10, configuration: .init(), now: world.now,
      nowMs: world.nowMs)
    // All that is behind the cursor may be trimmed: no gap.
    world.log.removeFirst(51)
    world.append()
    world.log[0].position = Position(ledgerID: 2, entryID: 0)
    world.perform(world.state.start(now: world.now))
    world.open()
    #expect(world.gaps == 0)
    #expect(world.state.acknowledged.entryID == 50)
    #expect(world.wire.map(\.previous) == [Position(ledgerID: 1, entryID: 0)])
  }

  @Test func anOldStreamsWordCountsForNothing() {
    var world = World()
    world.append()
    world.perform(world.state.start(now: world.now))
    let old = world.epoch
    world.open()
    world.perform(world.state.failed(epoch: old, reason: "closed", now: world.now))
    world.perform(world.state.retry(now: world.now))
    #expect(world.state.stored(through: Position(ledgerID: 1, entryID: 0), epoch: old, now: world.now).isEmpty)
    #expect(world.state.failed(epoch: old, reason: "late", now: world.now).isEmpty)
    #expect(
      world.state.opened(epoch: old, watermark: nil, firstAvailable: nil, head: .earliest, now: world.now).isEmpty)
    #expect(world.cursor == .earliest)
  }

  @Test func pausesGrowAndAreBounded() {
    var state = ReplicatorState(
      markDelete: .earliest, epoch: 0,
      configuration: .init(backoffInitial: .milliseconds(100), backoffMaximum: .seconds(2)), now: .now(), nowMs: 0)
    var pauses: [Int64] = []
    var epoch: UInt64 = 0
    for action in state.start(now: .now()) { if case .openStream(let e) = action { epoch = e } }
    for _ in 0..<8 {
      for action in state.failed(epoch: epoch, reason: "refused", now: .now()) {
        if case .retry(let after) = action { pauses.append(after.nanoseconds / 1_000_000) }
      }
      for action in state.retry(now: .now()) { if case .openStream(let e) = action { epoch = e } }
    }
    #expect(pauses == [100, 200, 400, 800, 1600, 2000, 2000, 2000])
  }

  @Test func aStalledStreamIsOpenedAnew() {
    var world = World(configuration: .init(stallTimeout: .seconds(30)))
    world.append()
    world.perform(world.state.start(now: world.now))
    world.open()
    world.advance(29_999)
    #expect(world.state.tick(now: world.now).isEmpty)
    world.advance(1)
    #expect(world.state.tick(now: world.now).count == 2)
    #expect(world.state.phase == .backingOff)
    #expect(world.state.reason.contains("no progress for 30 s"))
  }

  @Test func lagGrowsWithTheClockWhileTheLinkIsDown() {
    var world = World()
    world.append()
    world.append(local: false)
    world.perform(world.state.start(now: world.now))
    #expect(world.state.figures(head: world.head, now: world.now) == nil)
    world.state.noteOldest(
      position: world.log[0].position, storedAtMs: world.log[0].storedAtMs, before: (0, 0), now: world.now)
    world.advance(20_000)
    #expect(world.state.figures(head: world.head, now: world.now) == .init(seconds: 20, messages: 1, bytes: 100))
    world.open()
    world.advance(1_000)
    #expect(world.state.figures(head: world.head, now: world.now)?.seconds == 21)
    world.arrive()
    world.hear()
    #expect(world.state.figures(head: world.head, now: world.now) == LagState.Figures.none)
  }

  @Test func aWatermarkAheadOfTheLogIsNotBelieved() {
    var world = World()
    world.append()
    world.perform(world.state.start(now: world.now))
    let ahead = Position(ledgerID: 1, entryID: 5)
    let actions = world.state.opened(
      epoch: world.epoch, watermark: ahead, firstAvailable: world.log[0].position, head: world.head.position,
      now: world.now)
    #expect(actions == [.closeStream(epoch: world.epoch), .retry(after: .seconds(10))])
    #expect(world.state.isStuck)
    #expect(world.state.reason.contains("up to 1:5, but the log here ends at 1:0"))
    #expect(world.state.acknowledged == .earliest)
    #expect(world.state.lastStored == nil)
    // The operator deleted the topic there.
    world.perform(world.state.retry(now: world.now))
    world.open()
    #expect(!world.state.isStuck && world.state.reason.isEmpty)
    #expect(world.wire.count == 1)
  }

  @Test func aTopicThatWasMadeAgainGoesOnBehindTheWatermarkOrNotAtAll() {
    var world = World()
    let watermark = Position(ledgerID: 1, entryID: 5)
    world.perform(world.state.start(now: world.now))
    _ = world.state.opened(
      epoch: world.epoch, watermark: watermark, firstAvailable: nil, head: .earliest, now: world.now)
    #expect(world.state.phase == .streaming)
    #expect(world.state.contradiction(firstUnread: Position(ledgerID: 2, entryID: 0)).isEmpty)
    let facts = ReplicatorState.EntryFacts(
      position: Position(ledgerID: 2, entryID: 0), bytes: 1, messages: 1, storedAtMs: 0, localMessages: 1,
      localBytes: 1)
    var other = world.state
    #expect(other.send(facts, now: world.now) == watermark)
    #expect(!world.state.contradiction(firstUnread: Position(ledgerID: 1, entryID: 3)).isEmpty)
    #expect(world.state.isStuck)
  }

  @Test func whatFailsWhileTheLinkIsDownSaysNothingOfTheTopic() {
    var world = World()
    world.perform(world.state.start(now: world.now))
    for _ in 0..<5 {
      world.perform(world.state.failed(epoch: world.epoch, reason: "no answer", isOfTopic: false, now: world.now))
      world.perform(world.state.retry(now: world.now))
    }
    #expect(world.state.failures == 5 && world.state.refusals == 0)
    world.perform(world.state.failed(epoch: world.epoch, reason: "refused", now: world.now))
    #expect(world.state.refusals == 1)
    world.perform(world.state.linkIsUp(now: world.now))
    #expect(world.state.phase == .connecting && world.state.reason.isEmpty && world.state.refusals == 0)
  }

  @Test func settingTheWallClockBackMakesNothingYounger() {
    var world = World()
    world.append()
    world.append()
    world.perform(world.state.start(now: world.now))
    world.state.noteClock(now: world.now, nowMs: world.nowMs, head: world.head.position)
    world.state.noteOldest(
      position: world.log[0].position, storedAtMs: world.log[0].storedAtMs, before: (0, 0), now: world.now)
    world.advance(5_000)
    world.nowMs -= 3_600_000
    world.state.noteClock(now: world.now, nowMs: world.nowMs, head: world.head.position)
    world.advance(1_000)
    #expect(world.state.figures(head: world.head, now: world.now)?.seconds == 6)
    // Read only now, stored before.
    world.open()
    #expect(world.state.figures(head: world.head, now: world.now)?.seconds == 6)
    world.arrive()
    world.hear()
    #expect(world.state.figures(head: world.head, now: world.now)?.seconds == 6)
    // Stored after.
    world.append()
    world.read()
    world.arrive()
    world.hear()
    world.advance(2_000)
    #expect(world.state.figures(head: world.head, now: world.now)?.seconds == 2)
  }

  @Test(arguments: 0..<60)
  func everyEntryArrivesOnceInOrderThroughAnyFaults(seed: Int) {
    var random = SeededGenerator(seed: UInt64(seed))
    var world = World(configuration: .init(window: .init(minimum: 300, maximum: 1000)))
    world.perform(world.state.start(now: world.now))
    for _ in 0..<400 {
      world.advance(Int64.random(in: 0...40, using: &random))
      switch Int.random(in: 0..<12, using: &random) {
      case 0...3: world.append(local: Bool.random(using: &random))
      case 4, 5: world.arrive()
      case 6: world.hear()
      case 7: world.read(limit: Int.random(in: 1...4, using: &random))
      case 8:
        world.lose()
        world.perform(world.state.failed(epoch: world.epoch, reason: "fault", now: world.now))
      case 9: world.perform(world.state.retry(now: world.now))
      case 10: if world.state.phase == .connecting { world.open() }
      default:
        // The process dies: the machine is new, its cursor may be older than what it knew.
        guard Int.random(in: 0..<5, using: &random) == 0 else { continue }
        world.lose()
        world.state = ReplicatorState(
          markDelete: world.cursor, epoch: world.epoch + 10, configuration: .init(), now: world.now,
          nowMs: world.nowMs)
        world.perform(world.state.start(now: world.now))
      }
      // Never less than the truth: the age of the oldest local entry that the remote has not.
      let missing = world.log.first { $0.isLocal && $0.position > (world.remote.last ?? .earliest) }
      if let missing, let figures = world.state.figures(head: world.head, now: world.now) {
        #expect(figures.seconds * 1000 >= Double(world.nowMs - missing.storedAtMs) - 0.001, "seed \(seed)")
        let count = world.log.filter { $0.isLocal && $0.position > (world.remote.last ?? .earliest) }.count
        #expect(figures.messages >= UInt64(count), "seed \(seed)")
      }
    }
    // Faults stop: everything must arrive.
    for _ in 0..<2_000 where world.remote.count < world.log.filter(\.isLocal).count || !world.receipts.isEmpty {
      world.advance(1)
      if world.state.phase == .backingOff { world.perform(world.state.retry(now: world.now)) }
      if world.state.phase == .connecting { world.open() }
      world.read()
      world.arrive()
      world.hear()
    }
    #expect(world.remote == world.log.filter(\.isLocal).map(\.position), "seed \(seed)")
  }
}

private struct SeededGenerator: RandomNumberGenerator {
  private var state: UInt64

  init(seed: UInt64) {
    state = seed &+ 0x9E37_79B9_7F4A_7C15
  }

  mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var z = state
    z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
    z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
    return z ^ (z >> 31)
  }
}

import Foundation
import TestSupport

#if canImport(Glibc)
  import Glibc
#endif

/// Does one thing after the other to bookies, such that three of them are always well.
actor FaultInjector {
  /// Bookies that are not well at once, at most.
  static let mostAtOnce = 2

  private let fleet: BookieFleet
  private let etcd: EtcdServer
  private let disk: SmallDisk?
  private let slowDisks: SlowDisks?
  /// What is possible on this machine.
  private let faults: [Fault]
  /// The only place whose files are damaged, and not again before what a bookie given up there held has been copied
  /// elsewhere: no entry loses more than one copy by damage.
  private let victim: Int
  /// Whether the ledgers name these bookies only.
  private let ledgersNameOnly: @Sendable (Set<String>) async -> Bool
  /// The place on the small disk.
  private let diskPlace: Int
  private let isVerbose: Bool
  private var random: SeededRandom
  private var unwell: Set<Int> = []
  private var isMetadataDown = false
  private var tasks: [Task<Void, Never>] = []
  /// How often each was done.
  private(set) var counts: [Fault: Int] = [:]
  /// Bookies that were given up because of damage, and whose place a new one took.
  private(set) var replaced = 0

  init(
    fleet: BookieFleet, etcd: EtcdServer, disk: SmallDisk?, slowDisks: SlowDisks?, diskPlace: Int, victim: Int,
    seed: UInt64, isVerbose: Bool,
    ledgersNameOnly: @escaping @Sendable (Set<String>) async -> Bool
  ) {
    self.ledgersNameOnly = ledgersNameOnly
    self.fleet = fleet
    self.etcd = etcd
    self.disk = disk
    self.slowDisks = slowDisks
    faults = Fault.allCases.filter { ($0 != .fullDisk || disk != nil) && ($0 != .slow || slowDisks != nil) }
    self.diskPlace = diskPlace
    self.victim = victim
    self.isVerbose = isVerbose
    random = SeededRandom(seed)
  }

  /// Injects faults for `time`; returns when everything runs again.
  func run(for time: Duration) async {
    let deadline = ContinuousClock.now + time
    var due = faults
    while ContinuousClock.now < deadline {
      await fleet.supervise()
      try? await Task.sleep(for: .milliseconds(200 + random.below(800)))
      // Each kind has its turn once, then chance decides.
      let fault = due.popLast() ?? Fault.draw(&random, among: faults)
      if await !begin(fault), !due.isEmpty || counts[fault] == nil { due.insert(fault, at: 0) }
    }
    for task in tasks { await task.value }
    disk?.free()
    await fleet.supervise()
  }

  /// False if it is not possible now.
  private func begin(_ fault: Fault) async -> Bool {
    if fault == .metadataKill {
      guard !isMetadataDown else { return false }
      isMetadataDown = true
      let pause = Duration.milliseconds(100 + random.below(2000))
      return perform(fault, on: nil) {
        self.etcd.stop()
        try? await Task.sleep(for: pause)
        try? self.etcd.launch()
        await self.metadataIsBack()
      }
    }
    if fault.isDamage, await !ledgersNameOnly(Set(fleet.places.map(\.id))) { return false }
    guard unwell.count < Self.mostAtOnce, let place = place(for: fault) else { return false }
    unwell.insert(place)
    let seed = random.next()
    return perform(fault, on: place) {
      var random = SeededRandom(seed)
      await self.inject(fault, place, &random)
      await self.isWell(place)
    }
  }

  private func place(for fault: Fault) -> Int? {
    switch fault {
    case .fullDisk: return unwell.contains(diskPlace) ? nil : diskPlace
    case _ where fault.isDamage: return unwell.contains(victim) ? nil : victim
    default: return (0..<5).filter { !unwell.contains($0) }.randomElement(using: &random)
    }
  }

  private func perform(_ fault: Fault, on place: Int?, _ body: @escaping @Sendable () async -> Void) -> Bool {
    counts[fault, default: 0] += 1
    if isVerbose { print("fault: \(fault.rawValue)\(place.map { " of place \($0 + 1)" } ?? "")") }
    tasks.append(Task { await body() })
    return true
  }

  private func isWell(_ place: Int) { unwell.remove(place) }

  private func metadataIsBack() { isMetadataDown = false }

  private func inject(_ fault: Fault, _ place: Int, _ random: inout SeededRandom) async {
    switch fault {
    case .kill, .terminate:
      await fleet.stop(place, by: fault == .kill ? SIGKILL : SIGTERM)
      try? await Task.sleep(for: .milliseconds(random.below(random.below(4) == 0 ? 9000 : 2000)))
      await start(place)
    case .pause:
      await fleet.pause(place)
      try? await Task.sleep(for: .milliseconds(200 + random.below(random.below(3) == 0 ? 8000 : 2500)))
      await fleet.resume(place)
    case .slow:
      slowDisks?.slow(place, milliseconds: 20 + random.below(random.below(4) == 0 ? 2000 : 200))
      try? await Task.sleep(for: .milliseconds(1000 + random.below(4000)))
      slowDisks?.restore(place)
    case .fullDisk:
      disk?.fill()
      try? await Task.sleep(for: .milliseconds(1500 + random.below(4000)))
      // Sometimes it dies while it is full.
      if random.below(3) == 0 { await fleet.stop(place, by: SIGKILL) }
      disk?.free()
      await start(place)
    case .flippedJournal, .flippedEntryLog, .flippedIndex:
      await fleet.stop(place, by: SIGKILL)
      let damage = DiskDamage(directory: await fleet.places[place].directory)
      let spot = damage.flip(fault, &random)
      if isVerbose { print("fault: flipped \(spot ?? "nothing")") }
      if spot == nil { counts[fault, default: 1] -= 1 }
      await start(place)
    case .metadataKill: break
    }
  }

  /// Starts a bookie; one whose damage keeps it from starting is given up for a new one.
  private func start(_ place: Int) async {
    do {
      try await fleet.start(place)
    } catch {
      if isVerbose { print("fault: \(error)") }
    }
    guard place == victim, let process = await fleet.places[place].process else { return }
    guard await process.waitForEnd(within: .seconds(2)) != nil, await fleet.isBeyondRepair(place) else { return }
    if isVerbose { print("fault: replaced, \(await fleet.lastLine(place))") }
    await fleet.stop(place, by: SIGKILL)
    await fleet.replace(place)
    replaced += 1
    try? await fleet.start(place)
  }
}

import BookieWire
import NIOCore

@testable import Bookie

/// A bookie in a simulated region: gets turns when time has come, stalls, crashes and starts again, looks at its disks, and is in
/// the list of bookies as long as its lease lasts.
final class SimulatedServer {
  let bookie: SimulatedBookie
  private let network: SimulatedNetwork
  private let clock: SimulatedClock
  /// How far its clock is ahead of the region's.
  private var offset: UInt64
  private var wakeAt = UInt64.max
  private var stalledUntil: UInt64 = 0
  private var slowUntil: UInt64 = 0
  private var leaseEnds: UInt64 = 0
  private var isDisposed = false
  /// Its lease ends though it runs.
  var leaseIsLostUntil: UInt64 = 0
  /// It is not started again before this is false.
  var isHeld = false
  /// How often it restarts right after it has promised a fence, of a thousand times: the worst moment.
  var restartsAfterFence = 0
  /// Told what it answers, when it has started again, and that it refuses to.
  var observe: ((BookieRequest, BookieResponse) -> Void)?
  var onStart: (() -> Void)?
  var onRefusal: ((any Error) -> Void)?
  /// Looks after the disks and tells the cluster.
  var onLook: (() -> Void)?
  /// It does not start any more: its disk is damaged, or was wiped.
  private(set) var isLost = false
  /// The process that runs.
  var life: Int { bookie.life }

  init(_ id: String, network: SimulatedNetwork) throws {
    self.network = network
    clock = SimulatedClock()
    offset = UInt64(network.chance.number(0...3_600_000)) * SimulatedNetwork.millisecond
    clock.nanoseconds = network.nanoseconds + offset
    bookie = try SimulatedBookie(id: id, chance: network.chance, tally: network.tally, clock: clock)
    renew()
    look(bookie.life)
  }

  var isRunning: Bool { bookie.isRunning }

  var isRegistered: Bool {
    network.nanoseconds < leaseEnds && network.nanoseconds >= leaseIsLostUntil
  }

  var isWritable: Bool { bookie.storage?.isWritable == true }

  private func renew() { leaseEnds = network.nanoseconds + 250 * SimulatedNetwork.millisecond }

  private func setClock() {
    clock.nanoseconds = max(clock.nanoseconds, network.nanoseconds + offset)
  }

  func receive(_ request: BookieRequest, _ reply: @escaping (BookieResponse) -> Void) {
    setClock()
    bookie.submit(request) { [self] response in
      observe?(request, response)
      reply(response)
      if case .read(let read) = request, read.flags.contains(.fencing), network.chance.permille(restartsAfterFence) {
        network.tally.note("restarts right after a fence")
        network.after(ms: 0...2) { [self] in crash(comesBackAfter: 1...5) }
      }
    }
    let isSlow = network.nanoseconds < slowUntil
    wake(at: network.nanoseconds + UInt64(network.chance.number(50...3000)) * (isSlow ? 30_000 : 1000))
  }

  /// It gets a turn soon.
  func wake() { wake(at: network.nanoseconds + 10_000) }

  private func wake(at time: UInt64) {
    guard time < wakeAt else { return }
    wakeAt = time
    network.at(time) { [self] in
      guard wakeAt == time else { return }
      wakeAt = .max
      turn()
    }
  }

  private func turn() {
    guard bookie.isRunning else { return }
    guard network.nanoseconds >= stalledUntil else { return wake(at: stalledUntil) }
    setClock()
    let due = bookie.step()
    if bookie.hasDied { return crash() }
    guard let due else { return }
    let time = due.uptimeNanoseconds
    wake(at: max(network.nanoseconds + 10_000, time > offset ? time - offset : 0))
  }

  /// Looks around from time to time, as long as this process lives.
  private func look(_ current: Int) {
    network.after(ms: 30...90) { [self] in
      guard !isDisposed, bookie.isRunning, bookie.life == current else { return }
      if network.nanoseconds >= stalledUntil {
        renew()
        setClock()
        bookie.storage?.checkDisks()
        onLook?()
      }
      look(current)
    }
  }

  // MARK: Faults

  func stall(ms: Int) {
    network.tally.note("stalled bookies")
    stalledUntil = network.nanoseconds + UInt64(ms) * SimulatedNetwork.millisecond
  }

  func slowDown(ms: Int) {
    network.tally.note("slow bookies")
    slowUntil = network.nanoseconds + UInt64(ms) * SimulatedNetwork.millisecond
  }

  func jump() {
    network.tally.note("jumps of a clock")
    clock.skewMs += Int64(network.chance.number(0...200_000_000)) - 100_000_000
  }

  /// The process ends, and starts again after a while.
  func crash(comesBackAfter ms: ClosedRange<Int> = 1...400) {
    guard bookie.isRunning else { return }
    network.tally.note("crashed bookies")
    bookie.crash()
    network.disconnect(bookie.id)
    network.after(ms: ms) { [self] in restart() }
  }

  /// The process ends, and nothing of its disk is left.
  func wipe() {
    network.tally.note("wiped bookies")
    crash(comesBackAfter: 5...100)
    bookie.disk.wipe()
  }

  func restart() {
    guard !bookie.isRunning, !isLost, !isHeld, !isDisposed else { return }
    setClock()
    let isHealthy = bookie.disk.capacity == .max
    do { try bookie.start() } catch {
      let isCutShort = bookie.disk.isDead
      bookie.crash()
      if isHealthy, !isCutShort {
        isLost = true
        network.tally.note("bookies that refuse to start")
        onRefusal?(error)
      } else {
        network.tally.note("starts that failed")
        network.after(ms: 5...60) { [self] in restart() }
      }
      return
    }
    renew()
    onStart?()
    offset = max(offset, clock.nanoseconds - min(clock.nanoseconds, network.nanoseconds))
    look(bookie.life)
    wake(at: network.nanoseconds + 1000)
  }

  /// Another bookie's disk is in its place for a while: it must not start on that.
  func startWithDisk(of other: SimulatedServer) {
    network.tally.note("disks that were mixed up")
    for server in [self, other] {
      server.isHeld = true
      server.crash()
    }
    bookie.swapDisks(with: other.bookie)
    var accepted: [SimulatedServer] = []
    for server in [self, other] {
      server.setClock()
      do {
        try server.bookie.start()
        accepted.append(server)
      } catch {
        server.bookie.crash()
      }
    }
    guard accepted.isEmpty else {
      for server in accepted {
        server.renew()
        server.onStart?()
        server.look(server.bookie.life)
        server.wake()
      }
      return
    }
    bookie.swapDisks(with: other.bookie)
    for server in [self, other] {
      network.after(ms: 10...200) {
        server.isHeld = false
        server.restart()
      }
    }
  }

  /// The region is no longer needed.
  func dispose() {
    isDisposed = true
    observe = nil
    onStart = nil
    onRefusal = nil
    onLook = nil
    bookie.crash()
  }
}

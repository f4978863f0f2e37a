import BookieWire
import NIOCore

/// A bookie in a simulated region: gets turns when time has come, stalls, crashes and starts again.
final class SimulatedServer {
  let bookie: SimulatedBookie
  private let network: SimulatedNetwork
  private let clock: SimulatedClock
  /// How far its clock is ahead of the region's.
  private var offset: UInt64
  private var wakeAt = UInt64.max
  private var stalledUntil: UInt64 = 0
  /// Told what it answers, and when it has started again.
  var observe: ((BookieRequest, BookieResponse) -> Void)?
  var onRestart: (() -> Void)?
  var onRefusal: ((any Error) -> Void)?
  /// It does not start any more, for its disk is damaged.
  private(set) var isLost = false

  init(_ id: String, network: SimulatedNetwork) throws {
    self.network = network
    clock = SimulatedClock()
    offset = UInt64(network.chance.number(0...3_600_000)) * SimulatedNetwork.millisecond
    clock.nanoseconds = network.nanoseconds + offset
    bookie = try SimulatedBookie(id: id, chance: network.chance, tally: network.tally, clock: clock)
  }

  var isRunning: Bool { bookie.isRunning }

  private func setClock() {
    clock.nanoseconds = max(clock.nanoseconds, network.nanoseconds + offset)
  }

  func receive(_ request: BookieRequest, _ reply: @escaping (BookieResponse) -> Void) {
    setClock()
    bookie.submit(request) { [self] response in
      observe?(request, response)
      reply(response)
    }
    wake(at: network.nanoseconds + UInt64(network.chance.number(50...3000)) * 1000)
  }

  private func wake(at time: UInt64) {
    guard time < wakeAt else { return }
    wakeAt = time
    network.after(time - min(time, network.nanoseconds)) { [self] in
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

  func stall(ms: Int) {
    network.tally.note("stalled bookies")
    stalledUntil = network.nanoseconds + UInt64(ms) * SimulatedNetwork.millisecond
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
    network.after(ms: ms) { [self] in restart() }
  }

  func restart() {
    guard !bookie.isRunning, !isLost else { return }
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
    onRestart?()
    offset = max(offset, clock.nanoseconds - min(clock.nanoseconds, network.nanoseconds))
    wake(at: network.nanoseconds + 1000)
  }

  /// The region is no longer needed.
  func dispose() {
    observe = nil
    onRestart = nil
    onRefusal = nil
    bookie.crash()
  }
}

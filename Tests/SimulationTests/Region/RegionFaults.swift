extension RegionSimulation {
  /// One fault of any kind.
  func fault() {
    guard !isCalm else { return }
    let id = chance.pick(network.bookieIDs)
    guard let server = network.servers[id] else { return }
    let disk = server.bookie.disk
    switch chance.number(0...15) {
    case 0...1: server.crash()
    case 2...3: disk.diesAt = disk.changes + chance.number(1...40)
    case 4: server.stall(ms: chance.number(10...400))
    case 5: server.slowDown(ms: chance.number(50...400))
    case 6:
      disk.capacity = disk.totalBytes + chance.number(0...10_000)
      network.after(ms: 20...300) { disk.capacity = .max }
    case 7: server.jump()
    case 8...9: damage(id, server)
    case 10: wipe(id, server)
    case 11: mixUp(server)
    case 12:
      tally.note("leases that ended early")
      server.leaseIsLostUntil = network.nanoseconds + UInt64(chance.number(50...400)) * SimulatedNetwork.millisecond
    case 13:
      disk.failingReads = 500
      network.after(ms: 50...300) { disk.failingReads = 0 }
    case 14:
      let client = chance.pick(["broker-0", "broker-1", "broker-2", "reader", "repair-0", "repair-1"])
      if chance.percent(70) { network.cut(client, id, ms: 20...400) }
      if chance.percent(70) { network.cut(id, client, ms: 20...400) }
    default:
      // Several at once.
      for id in network.bookieIDs where chance.percent(50) { network.servers[id]?.crash() }
    }
  }

  /// Never so many bookies that of an acknowledged entry no copy stays whole.
  private func mayLose(_ id: String) -> Bool {
    rules.damaged.contains(id) || rules.damaged.count < shape.options.ackQuorumSize - 1
  }

  private func damage(_ id: String, _ server: SimulatedServer) {
    guard mayLose(id), server.isRunning else { return }
    let disk = server.bookie.disk
    var isFlipped = false
    for _ in 0..<chance.number(1...4) {
      switch chance.number(0...9) {
      case 0...4: isFlipped = disk.flipLog() || isFlipped
      case 5...8: isFlipped = disk.flipJournal() || isFlipped
      default: isFlipped = disk.flipSmallFile() || isFlipped
      }
    }
    if isFlipped { rules.damage(id) }
  }

  private func wipe(_ id: String, _ server: SimulatedServer) {
    guard mayLose(id), server.isRunning, mutation != .foreignDiskIsTaken else { return }
    rules.damage(id)
    server.wipe()
  }

  private func mixUp(_ server: SimulatedServer) {
    guard mutation != .wipedBookieStartsAsNew else { return }
    let others = network.bookieIDs.compactMap { network.servers[$0] }.filter {
      $0 !== server && !$0.isLost && !$0.isHeld && $0.isRunning
    }
    guard !others.isEmpty, !server.isLost, !server.isHeld, server.isRunning else { return }
    server.startWithDisk(of: chance.pick(others))
  }
}

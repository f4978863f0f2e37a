@testable import Ledgers

/// Takes the topic over: ends the last ledgers of its chain, puts a new one behind them, and writes to it. Several of these
/// race, and none knows of the others.
final class SimulatedBroker {
  let name: String
  private unowned let region: RegionSimulation
  private var recoveries: [SimulatedRecovery] = []
  private var writer: SimulatedWriter?
  private var takeovers = 0
  private(set) var isAlive = true

  private var network: SimulatedNetwork { region.network }

  init(_ region: RegionSimulation, _ name: String) {
    self.region = region
    self.name = name
  }

  func crash() {
    guard isAlive else { return }
    region.tally.note("crashed brokers")
    stop()
  }

  func stop() {
    isAlive = false
    writer?.isAlive = false
    for recovery in recoveries { recovery.isAlive = false }
  }

  func takeOver() {
    guard isAlive else { return }
    takeovers += 1
    region.metadata.readChain { [self] answer in
      guard isAlive else { return }
      guard let (chain, version) = answer else { return again() }
      recover(Array(chain.suffix(2))) { [self] in append(to: chain, over: version) }
    }
  }

  private func again() {
    guard takeovers < 4 else { return }
    network.after(ms: 20...300) { [self] in takeOver() }
  }

  private func recover(_ ids: [LedgerID], _ then: @escaping () -> Void) {
    guard let first = ids.first else { return then() }
    let recovery = SimulatedRecovery(region, client: name, ledgerID: first) { [self] in
      guard isAlive else { return }
      recover(Array(ids.dropFirst()), then)
    }
    recoveries.append(recovery)
    recovery.start()
  }

  private func append(to chain: [LedgerID], over version: Int64) {
    let options = region.shape.options
    let ensemble = network.chance.pick(options.ensembleSize, of: network.writable)
    guard ensemble.count == options.ensembleSize else { return again() }
    let metadata = LedgerMetadata(options: options, ensemble: ensemble, createdMs: 0, creatorToken: 0)
    region.metadata.create(metadata) { [self] id in
      guard isAlive else { return }
      guard let id else { return again() }
      region.metadata.writeChain(chain + [id], over: version) { [self] written in
        guard isAlive else { return }
        guard case .version = written else {
          region.tally.note("takeovers that lost a race")
          if case .conflict = written { region.metadata.delete(id) }
          return again()
        }
        region.tally.note("takeovers")
        let writer = SimulatedWriter(
          region, client: name, ledgerID: id, metadata: metadata,
          entries: network.chance.number(region.shape.entries / 4...region.shape.entries)
        ) { [self] in
          if network.chance.percent(60) { again() }
        }
        self.writer = writer
        writer.start()
        if region.shape.trims, case .version(let version) = written { trim(chain + [id], over: version) }
      }
    }
  }

  /// The oldest ledger is no longer needed: first the topic forgets it, then it is deleted.
  private func trim(_ chain: [LedgerID], over version: Int64) {
    guard chain.count > 1, let oldest = chain.first else { return }
    network.after(ms: 0...200) { [self] in
      guard isAlive else { return }
      region.metadata.writeChain(Array(chain.dropFirst()), over: version) { [self] written in
        guard isAlive, case .version = written else { return }
        region.tally.note("deleted ledgers")
        region.metadata.delete(oldest)
      }
    }
  }
}

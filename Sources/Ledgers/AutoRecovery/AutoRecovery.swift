import Logging
import MetadataStore
import NIOCore

/// Keeps every entry in as many copies as its ledger wants: finds bookies that are gone, copies that are missing, and copies
/// in the wrong failure domain, and makes them anew.
///
/// Runs in any process that has a ``LedgerClient``: within a standalone region, beside a broker or a bookie, or alone. One of
/// a region's processes is the auditor; all of them repair. Its state is in the metadata store, so it survives each of them.
public final class AutoRecovery: Sendable {
  private let tasks: [Task<Void, Never>]
  private let counters: AutoRecoveryCounters

  /// Starts to audit (if no other process does) and to repair.
  /// - Parameters:
  ///   - client: reaches the bookies; must outlive this.
  ///   - metadata: the region's metadata store.
  ///   - name: how this process calls itself in the election and in locks, for operators.
  public static func start(
    client: LedgerClient, metadata: any MetadataStore, name: String,
    configuration: AutoRecoveryConfiguration = AutoRecoveryConfiguration(), logger: Logger
  ) -> AutoRecovery {
    let counters = AutoRecoveryCounters()
    let throttle = SharedThrottle(bytesPerSecond: configuration.replicationRateByBytes)
    let auditor = Auditor(
      client: client, metadata: metadata, configuration: configuration, throttle: throttle, statistics: counters,
      name: name, logger: logger)
    var tasks = [Task { await auditor.run() }]
    for _ in 0..<max(1, configuration.replicationWorkers) {
      let repairer = LedgerRepairer(
        client: client, configuration: configuration, throttle: throttle, statistics: counters,
        loop: client.group.next(), logger: logger)
      let worker = ReplicationWorker(repairer: repairer, metadata: metadata, name: name)
      tasks.append(Task { await worker.run() })
    }
    return AutoRecovery(tasks, counters)
  }

  private init(_ tasks: [Task<Void, Never>], _ counters: AutoRecoveryCounters) {
    self.tasks = tasks
    self.counters = counters
  }

  /// What this process has done since it started.
  public var statistics: AutoRecoveryStatistics { counters.snapshot }

  /// Ends; what was begun is taken up by others, where it was left.
  public func shutdown() async {
    for task in tasks { task.cancel() }
    for task in tasks { await task.value }
  }
}

import ArgumentParser

/// `meridian perf`: measurements with a report.
struct PerfCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "perf", abstract: "Measure publishing, consuming and replication, and what is below them.",
    discussion: """
      Each measurement reports rates, latencies (HdrHistogram), CPU time and peak memory of this process and of the
      servers, and what the machine itself can do at that time.

      Examples:

        meridian perf produce demo/perf/t --size 1kib --duration 20s
        meridian perf produce demo/perf/t --producers 8 --size 100 --no-batching
        meridian perf consume demo/perf/t --from earliest
        meridian perf replicate demo/orders/perf --from us --to eu --rate 1000
        meridian perf ledger --directory /data
        meridian perf bookie adds latency reads --directory /data
        meridian perf journal --directory /data/journal --size 128K
      """,
    subcommands: [
      PerfProduceCommand.self, PerfConsumeCommand.self, PerfReplicateCommand.self, PerfLedgerCommand.self,
      PerfBookieCommand.self,
      PerfJournalCommand.self, BookieStartProbe.self, LedgerBookieProcess.self,
    ])
}

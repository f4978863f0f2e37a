import Foundation
import TestSupport
import Testing

/// Real processes under real faults: no entry that was acknowledged is lost or altered.
///
/// `MERIDIAN_FAULT_SECONDS` says for how long faults are injected, `MERIDIAN_SEED` which ones (their order and choice; when
/// they meet the load is up to the machine), `MERIDIAN_FAULT_VERBOSE=1` has each one printed.
@Suite(.serialized, .enabled(if: EtcdServer.program != nil, "etcd is not installed")) struct RealFaultTests {
  @Test func nothingAcknowledgedIsLost() async throws {
    let environment = ProcessInfo.processInfo.environment
    let seed = environment["MERIDIAN_SEED"].flatMap { UInt64($0) } ?? UInt64.random(in: 1...UInt64(UInt32.max))
    let seconds = environment["MERIDIAN_FAULT_SECONDS"].flatMap { Double($0) } ?? 10
    print("faults: seed \(seed), \(seconds) s")
    var run = FaultRun(seed: seed, time: .seconds(seconds))
    run.isVerbose = environment["MERIDIAN_FAULT_VERBOSE"] == "1"
    let report = try await run.run()
    print(report.text)
    #expect(report.violations.isEmpty)
    #expect(report.acknowledged > 0 && report.verified == report.acknowledged)
    #expect(report.copies.good > 0 || report.acknowledged == 0)
  }

  @Test func contentDiffersByLedgerAndEntry() {
    #expect(EntryContent.make(ledger: 1, entry: 2) == EntryContent.make(ledger: 1, entry: 2))
    #expect(EntryContent.make(ledger: 1, entry: 2) != EntryContent.make(ledger: 2, entry: 1))
  }
}

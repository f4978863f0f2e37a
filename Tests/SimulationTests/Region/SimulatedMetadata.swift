@testable import Ledgers

/// The metadata of a simulated region: ledgers and one topic's chain of them. Answers get lost, whether or not what was asked
/// for was done.
final class SimulatedMetadata {
  /// What became of a write.
  enum Written {
    case version(Int64)
    case conflict, unknown
  }

  struct Ledger {
    var metadata: LedgerMetadata
    var version: Int64 = 1
  }

  private let network: SimulatedNetwork
  private(set) var ledgers: [LedgerID: Ledger] = [:]
  private(set) var chain: [LedgerID] = []
  private var chainVersion: Int64 = 1
  private var nextID: LedgerID = 0
  /// Whether writes look at the version.
  var comparesVersions = true
  var lossPercent = 0
  /// Told of each ledger that was written.
  var onChange: ((LedgerID, LedgerMetadata) -> Void)?

  init(_ network: SimulatedNetwork) { self.network = network }

  private func ask<R>(_ body: @escaping () -> R, lost: R, _ answer: @escaping (R) -> Void) {
    guard !network.chance.percent(lossPercent) else {
      network.tally.note("lost metadata requests")
      return network.after(ms: 50...80) { answer(lost) }
    }
    network.after(ms: 0...4) { [self] in
      let result = body()
      guard !network.chance.percent(lossPercent) else {
        network.tally.note("lost metadata answers")
        return network.after(ms: 50...80) { answer(lost) }
      }
      network.after(ms: 0...4) { answer(result) }
    }
  }

  func create(_ metadata: LedgerMetadata, _ answer: @escaping (LedgerID?) -> Void) {
    ask(
      { [self] () -> LedgerID? in
        nextID += 1
        ledgers[nextID] = Ledger(metadata: metadata)
        onChange?(nextID, metadata)
        return nextID
      }, lost: nil, answer)
  }

  func read(_ id: LedgerID, _ answer: @escaping (Ledger?) -> Void) {
    ask({ [self] in ledgers[id] }, lost: nil, answer)
  }

  func write(
    _ id: LedgerID, _ new: LedgerMetadata, over version: Int64,
    _ answer: @escaping (Written) -> Void
  ) {
    ask(
      { [self] () -> Written in
        guard let old = ledgers[id], old.version == version || !comparesVersions else {
          return .conflict
        }
        ledgers[id] = Ledger(metadata: new, version: old.version + 1)
        onChange?(id, new)
        return .version(old.version + 1)
      }, lost: .unknown, answer)
  }

  func readChain(_ answer: @escaping ((ids: [LedgerID], version: Int64)?) -> Void) {
    ask(
      { [self] () -> (ids: [LedgerID], version: Int64)? in (chain, chainVersion) }, lost: nil,
      answer)
  }

  func writeChain(_ new: [LedgerID], over version: Int64, _ answer: @escaping (Written) -> Void) {
    ask(
      { [self] () -> Written in
        guard chainVersion == version else { return .conflict }
        chain = new
        chainVersion += 1
        return .version(chainVersion)
      }, lost: .unknown, answer)
  }
}

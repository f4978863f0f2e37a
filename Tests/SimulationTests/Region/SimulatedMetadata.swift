@testable import Ledgers

/// The metadata of a simulated region: ledgers, one topic's chain of them, what is to be repaired. Answers get lost, whether or
/// not what was asked for was done.
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

  /// The answer to a look-up.
  enum Found {
    case ledger(Ledger)
    case gone, unknown
  }

  /// A ledger that has to be looked at.
  struct Mark {
    var ledger: UnderReplicatedLedger
    var version: Int64
  }

  /// What a bookie says of a damaged journal, and who answers it.
  enum Limbo: Equatable {
    case limbo(Int64), repaired(Int64)
  }

  private let network: SimulatedNetwork
  private(set) var ledgers: [LedgerID: Ledger] = [:]
  private(set) var chain: [LedgerID] = []
  private(set) var marks: [LedgerID: Mark] = [:]
  var limbo: [String: Limbo] = [:]
  private var chainVersion: Int64 = 1
  private var markVersion: Int64 = 0
  private(set) var nextID: LedgerID = 0
  /// Whether writes look at the version.
  var comparesVersions = true
  var lossPercent = 0
  /// Told of each ledger that was written, or (nil) deleted.
  var onChange: ((LedgerID, LedgerMetadata?) -> Void)?

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

  // MARK: Ledgers

  /// A number that no ledger has, nor will have.
  func takeID() -> LedgerID {
    nextID += 1
    return nextID
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

  func read(_ id: LedgerID, _ answer: @escaping (Found) -> Void) {
    ask({ [self] in ledgers[id].map(Found.ledger) ?? .gone }, lost: .unknown, answer)
  }

  func write(
    _ id: LedgerID, _ new: LedgerMetadata, over version: Int64, _ answer: @escaping (Written) -> Void
  ) {
    ask(
      { [self] () -> Written in
        guard let old = ledgers[id], old.version == version || !comparesVersions else { return .conflict }
        ledgers[id] = Ledger(metadata: new, version: old.version + 1)
        onChange?(id, new)
        return .version(old.version + 1)
      }, lost: .unknown, answer)
  }

  /// Whatever its version.
  func delete(_ id: LedgerID, _ answer: @escaping (Bool) -> Void = { _ in }) {
    ask(
      { [self] in
        if ledgers.removeValue(forKey: id) != nil { onChange?(id, nil) }
        return true
      }, lost: false, answer)
  }

  /// All ledgers, or only some of them as if these were all: which nobody may believe who deletes.
  func list(_ answer: @escaping ([(id: LedgerID, ledger: Ledger)]?) -> Void) {
    ask(
      { [self] in
        var all = ledgers.sorted { $0.key < $1.key }.map { (id: $0.key, ledger: $0.value) }
        if lossPercent > 0, all.count > 1, network.chance.percent(20) {
          network.tally.note("truncated listings")
          all.removeFirst(network.chance.number(1...all.count))
        }
        return all
      }, lost: nil, answer)
  }

  // MARK: Topic

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

  // MARK: Repairs

  /// Changes the mark of a ledger, which is made if there is none. False if the answer was lost.
  func mark(
    _ id: LedgerID, _ change: @escaping (inout UnderReplicatedLedger) -> Void,
    _ answer: @escaping (Bool) -> Void = { _ in }
  ) {
    ask(
      { [self] in
        var ledger = marks[id]?.ledger ?? UnderReplicatedLedger(ledgerID: id, sinceMs: milliseconds)
        change(&ledger)
        markVersion += 1
        marks[id] = Mark(ledger: ledger, version: markVersion)
        return true
      }, lost: false, answer)
  }

  /// Forgets a mark that has not changed.
  func unmark(_ id: LedgerID, _ version: Int64) {
    ask(
      { [self] in
        if marks[id]?.version == version { marks[id] = nil }
      }, lost: (), {})
  }

  func readMarks(_ answer: @escaping ([Mark]?) -> Void) {
    ask({ [self] in marks.sorted { $0.key < $1.key }.map(\.value) }, lost: nil, answer)
  }

  var milliseconds: Int64 { Int64(network.nanoseconds / SimulatedNetwork.millisecond) }
}

import BookieWire
import NIOCore

@testable import Ledgers

/// Drives the real ``LedgerReader`` over one range, with the metadata of the moment.
final class SimulatedReader {
  private let network: SimulatedNetwork
  private let client: String
  private let ledgerID: LedgerID
  private let onEnd: (Result<[LedgerEntry], LedgerError>) -> Void
  private let onSuspect: (SuspectCopies) -> Void
  private var reader: LedgerReader
  private var actions: [LedgerReader.Action] = []
  private var isPerforming = false

  init(
    _ network: SimulatedNetwork, client: String, ledgerID: LedgerID, metadata: LedgerMetadata,
    from: EntryID, through: EntryID, onSuspect: @escaping (SuspectCopies) -> Void,
    _ onEnd: @escaping (Result<[LedgerEntry], LedgerError>) -> Void
  ) {
    self.network = network
    self.client = client
    self.ledgerID = ledgerID
    self.onEnd = onEnd
    self.onSuspect = onSuspect
    var parameters = LedgerReader.Parameters()
    parameters.speculativeDelay = .milliseconds(30)
    parameters.maximumInFlight = network.chance.number(1...8)
    parameters.stickySlot = network.chance.number(0...metadata.ensembleSize - 1)
    reader = LedgerReader(
      ledgerID: ledgerID, metadata: metadata, from: from, through: through,
      maxBytes: network.chance.pick([1, 1000, 1_000_000]), parameters: parameters)
  }

  func start() {
    reader.start(now: network.now, &actions)
    perform()
    tick()
  }

  private func tick() {
    network.after(10 * SimulatedNetwork.millisecond) { [self] in
      guard !reader.isFinished else { return }
      reader.tick(now: network.now, &actions)
      perform()
      tick()
    }
  }

  private func perform() {
    guard !isPerforming else { return }
    isPerforming = true
    defer { isPerforming = false }
    while !actions.isEmpty {
      switch actions.removeFirst() {
      case .read(let from, let count, let maxBytes, let bookie): ask(from, count, maxBytes, bookie)
      case .repair(let entry, let bookie):
        network.tally.note("copies found wanting by readers")
        onSuspect(SuspectCopies(bookie: bookie, first: entry, last: entry))
      case .finish(let result): onEnd(result)
      }
    }
  }

  private func ask(_ from: EntryID, _ count: Int, _ maxBytes: Int, _ bookie: String) {
    let request: BookieRequest =
      count == 1
      ? .read(ReadRequest(requestID: 1, ledgerID: ledgerID, entryID: from))
      : .batchRead(
        BatchReadRequest(
          requestID: 1, ledgerID: ledgerID, startEntryID: from, maxCount: Int32(clamping: count),
          maxSize: Int64(maxBytes) + 200))
    network.call(client, bookie, request) { [self] response in
      guard !reader.isFinished else { return }
      var answer = LedgerReader.Answer.failed
      switch response {
      case .read(let read)?: answer = verify(read.code, read.entry.map { [$0] } ?? [], from)
      case .batchRead(let read)?: answer = verify(read.code, read.entries, from)
      default: break
      }
      reader.answered(from: from, bookie: bookie, answer, now: network.now, &actions)
      perform()
    }
  }

  private func verify(_ code: BookieReturnCode, _ raw: [ByteBuffer], _ from: EntryID)
    -> LedgerReader.Answer
  {
    guard code == .ok else { return code.isNegative ? .absent : .failed }
    var entries: [LedgerEntry] = []
    for (index, bytes) in raw.enumerated() {
      let id = from + EntryID(index)
      guard
        let (header, payload) = try? SimulatedBookie.codec.decode(
          bytes, ledgerID: ledgerID, entryID: id)
      else {
        break
      }
      entries.append(
        LedgerEntry(
          ledgerID: ledgerID, entryID: id, cumulativeLength: header.length, payload: payload))
    }
    return entries.isEmpty ? .damaged : .entries(entries)
  }
}

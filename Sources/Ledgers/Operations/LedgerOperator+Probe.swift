import Foundation
import NIOCore

extension LedgerOperator {
  /// Writes a few entries to a bookie, in a ledger of its own, reads them back and deletes the ledger: what a sanity check
  /// does. Throws ``LedgerError/dataUnavailable(_:)`` with the reason if the bookie does not do its part.
  public func probe(_ bookie: String) async throws {
    let loop = client.group.next()
    let bookies = try client.bookies(on: loop)
    let id = try await client.store.nextID()
    let metadata = LedgerMetadata(
      options: LedgerOptions(ensembleSize: 1, writeQuorumSize: 1, ackQuorumSize: 1), ensemble: [bookie],
      createdMs: Int64(Date().timeIntervalSince1970 * 1_000), creatorToken: Int64.random(in: Int64.min...Int64.max))
    guard let version = try await client.store.create(id, metadata) else {
      throw LedgerError.metadata("ledger \(id), meant for a check of \(bookie), exists already; try again.")
    }
    let outcome: Result<Void, any Error>
    do {
      let ledger = WritableLedger(
        id: id, metadata: .init(metadata: metadata, version: version), bookies: bookies, store: client.store,
        selector: client.selector)
      let sent = (0..<10).map { ByteBuffer(string: "probe \($0) of \(bookie)") }
      for payload in sent {
        _ = try await loop.flatSubmit { () -> EventLoopFuture<EntryID> in
          let promise = loop.makePromise(of: EntryID.self)
          ledger.append(payload, ByteBuffer()) { promise.completeWith($0.mapError { $0 as any Error }) }
          return promise.futureResult
        }.get()
      }
      _ = try await ledger.close()
      // A writer replaces a bookie that fails, which is not what is asked here.
      guard try await client.ledgerMetadata(id).segments.allSatisfy({ $0.ensemble == [bookie] }) else {
        throw LedgerError.dataUnavailable("bookie \(bookie) did not take entries.")
      }
      let read = try await read(id, from: 0, through: EntryID(sent.count - 1))
      guard read.map(\.payload) == sent else {
        throw LedgerError.dataUnavailable("bookie \(bookie) did not return what it was given.")
      }
      outcome = .success(())
    } catch {
      outcome = .failure(error)
    }
    try await client.deleteLedger(id)
    try outcome.get()
  }
}

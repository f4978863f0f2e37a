import BookieWire
import NIOCore

/// Asks the bookies of a ledger's last ensemble, without fencing, up to where they know it to be acknowledged.
final class LastConfirmedRead: @unchecked Sendable {
  private let striping: LedgerStriping
  private let promise: EventLoopPromise<EntryID>
  private var best: EntryID
  private var valid: Set<Int> = []
  private var outstanding: Int

  static func run(
    _ id: LedgerID, _ metadata: LedgerMetadata, bookies: LoopBookies
  ) async throws -> EntryID {
    try await bookies.eventLoop.flatSubmit { () -> EventLoopFuture<EntryID> in
      let read = LastConfirmedRead(metadata, bookies.eventLoop)
      let codec = LedgerEntryCodec(digest: metadata.digest, password: metadata.password)
      for (slot, bookie) in metadata.lastSegment.ensemble.enumerated() {
        bookies.connection(to: bookie).read(ledgerID: id, entryID: ReadRequest.lastEntry) { code, bytes in
          read.answered(id, slot, code, bytes, codec)
        }
      }
      return read.promise.futureResult
    }.get()
  }

  private init(_ metadata: LedgerMetadata, _ loop: any EventLoop) {
    striping = LedgerStriping(
      ensembleSize: metadata.ensembleSize, writeQuorum: metadata.writeQuorumSize, ackQuorum: metadata.ackQuorumSize)
    promise = loop.makePromise()
    // A segment starts right behind an entry that was acknowledged.
    best = metadata.lastSegment.firstEntry - 1
    outstanding = metadata.ensembleSize
  }

  private func answered(
    _ id: LedgerID, _ slot: Int, _ code: BookieReturnCode?, _ bytes: ByteBuffer?, _ codec: LedgerEntryCodec
  ) {
    outstanding -= 1
    switch ReadMeaning(code) {
    case .found:
      if let bytes, let (header, _) = try? codec.decode(bytes, ledgerID: id, entryID: nil) {
        best = max(best, header.lastAddConfirmed)
        valid.insert(slot)
      }
    case .absent: valid.insert(slot)
    case .doubtful, .noAnswer: break
    }
    guard outstanding == 0 else { return }
    if striping.covers({ valid.contains($0) }) {
      promise.succeed(best)
    } else {
      promise.fail(LedgerError.dataUnavailable("too few bookies of ledger \(id) say how far it is acknowledged."))
    }
  }
}

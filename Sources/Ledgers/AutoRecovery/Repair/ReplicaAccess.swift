import BookieWire
import NIOCore

/// The copies of one ledger's entries as the bookies have them, byte for byte.
struct ReplicaAccess: Sendable {
  /// What a bookie says of its copy.
  enum Copy: Equatable, Sendable {
    /// The bytes as stored; their digest is right.
    case good(ByteBuffer)
    /// It has no such entry.
    case absent
    /// It has something else, or cannot be sure.
    case damaged
    /// No answer.
    case unreachable
  }

  let id: LedgerID
  let metadata: LedgerMetadata
  let bookies: LoopBookies

  /// The copies of `entries` on `bookie`, in their order.
  func read(_ entries: [EntryID], from bookie: String) async throws -> [Copy] {
    let codec = LedgerEntryCodec(digest: metadata.digest, password: metadata.password)
    return try await bookies.eventLoop.flatSubmit { () -> EventLoopFuture<[Copy]> in
      let connection = bookies.connection(to: bookie)
      let futures = entries.map { entry -> EventLoopFuture<Copy> in
        let promise = bookies.eventLoop.makePromise(of: Copy.self)
        connection.read(ledgerID: id, entryID: entry) { code, bytes in
          promise.succeed(Self.judge(code, bytes, codec, id, entry))
        }
        return promise.futureResult
      }
      return EventLoopFuture.whenAllSucceed(futures, on: bookies.eventLoop)
    }.get()
  }

  /// Stores the copies on `bookie`, past a fence. The answers are in the order of the entries; nil: no answer.
  func write(_ entries: [(id: EntryID, bytes: ByteBuffer)], to bookie: String) async throws -> [BookieReturnCode?] {
    let key = LedgerMasterKey(password: metadata.password)
    return try await bookies.eventLoop.flatSubmit { () -> EventLoopFuture<[BookieReturnCode?]> in
      let connection = bookies.connection(to: bookie)
      let futures = entries.enumerated().map { index, entry -> EventLoopFuture<BookieReturnCode?> in
        let receiver = Receiver(bookies.eventLoop.makePromise())
        connection.add(
          EntryBytes(head: entry.bytes), ledgerID: id, entryID: entry.id, flags: [.recoveryAdd], key: key,
          receiver: receiver, slot: 0, generation: 0)
        return receiver.promise.futureResult
      }
      return EventLoopFuture.whenAllSucceed(futures, on: bookies.eventLoop)
    }.get()
  }

  private static func judge(
    _ code: BookieReturnCode?, _ bytes: ByteBuffer?, _ codec: LedgerEntryCodec, _ id: LedgerID, _ entry: EntryID
  ) -> Copy {
    switch ReadMeaning(code) {
    case .found:
      guard let bytes, (try? codec.decode(bytes, ledgerID: id, entryID: entry)) != nil else { return .damaged }
      return .good(bytes)
    case .absent: return .absent
    case .doubtful: return .damaged
    case .noAnswer: return .unreachable
    }
  }

  private final class Receiver: BookieAddReceiver {
    let promise: EventLoopPromise<BookieReturnCode?>

    init(_ promise: EventLoopPromise<BookieReturnCode?>) {
      self.promise = promise
    }

    func addAnswered(_ entry: EntryID, slot: Int, generation: UInt32, _ code: BookieReturnCode?) {
      promise.succeed(code)
    }
  }
}

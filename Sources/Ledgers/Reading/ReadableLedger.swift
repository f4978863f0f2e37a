import BookieWire
import NIOCore

/// A ledger opened for reading. Confined to `eventLoop`.
public final class ReadableLedger: @unchecked Sendable {
  /// The ledger's id.
  public let id: LedgerID
  /// The loop that all members belong to, and on which completions run.
  public let eventLoop: any EventLoop
  /// The last entry that can be read; -1 if the ledger is empty.
  public let lastEntry: EntryID
  /// Payload bytes of the ledger up to ``lastEntry``.
  public let length: Int64
  /// Whether the ledger is closed, so that ``lastEntry`` is final.
  public let isClosed: Bool
  /// The ledger's metadata when it was opened.
  public let metadata: LedgerMetadata

  private let bookies: LoopBookies
  private let codec: LedgerEntryCodec
  private let view: ReadMetadata
  private var isOpen = true
  private lazy var reads = SequentialReads(bookies: bookies, lastEntry: { [lastEntry] in lastEntry }) {
    [weak self, id, eventLoop] from, through, maxBytes, completion in
    guard let self else { return eventLoop.failLater(.closed(id), completion) }
    self.readNow(from, through, maxBytes, completion)
  }

  init(
    id: LedgerID, metadata: LedgerMetadata, lastEntry: EntryID, length: Int64, bookies: LoopBookies,
    store: LedgerMetadataStore
  ) {
    self.id = id
    self.eventLoop = bookies.eventLoop
    self.metadata = metadata
    self.lastEntry = lastEntry
    self.length = length
    self.isClosed = metadata.state == .closed
    self.bookies = bookies
    self.codec = LedgerEntryCodec(digest: metadata.digest, password: metadata.password)
    self.view = ReadMetadata(id: id, metadata, store: store, eventLoop: bookies.eventLoop)
  }

  /// Reads the entries `from` through `through`, both at most ``lastEntry``: a contiguous run that starts at `from`, has
  /// at least one entry, and ends early where `maxBytes` of payload are reached.
  public func read(
    from: EntryID, through: EntryID, maxBytes: Int, completion: @escaping (Result<[LedgerEntry], LedgerError>) -> Void
  ) {
    eventLoop.assertInEventLoop()
    guard isOpen else { return eventLoop.failLater(.closed(id), completion) }
    let answer: SequentialReads.Completion = { [weak self, id] result in
      guard let self, self.isOpen else { return completion(.failure(.closed(id))) }
      completion(result)
    }
    if LedgerReads.isPossible(from: from, through: through, last: lastEntry, maxBytes: maxBytes) {
      reads.read(from: from, through: through, maxBytes: maxBytes, completion: answer)
    } else {
      readNow(from, through, maxBytes, answer)
    }
  }

  private func readNow(
    _ from: EntryID, _ through: EntryID, _ maxBytes: Int, _ completion: @escaping SequentialReads.Completion
  ) {
    LedgerReads.start(
      view, codec: codec, bookies: bookies, from: from, through: through, last: lastEntry, maxBytes: maxBytes,
      averageSize: Int(length / max(1, lastEntry + 1)), completion: completion)
  }

  /// Lets go of the handle; reads that are outstanding, and later ones, fail.
  public func close() {
    eventLoop.assertInEventLoop()
    isOpen = false
    reads.stop()
  }
}

/// What both kinds of handles do to read.
enum LedgerReads {
  /// Whether such a range can be asked for.
  static func isPossible(from: EntryID, through: EntryID, last: EntryID, maxBytes: Int) -> Bool {
    from >= 0 && from <= through && through <= last && maxBytes > 0
  }

  /// Reads; where the bookies that `view` names do not have the entries, once more by what metadata say now.
  static func start(
    _ view: ReadMetadata, codec: LedgerEntryCodec, bookies: LoopBookies, from: EntryID, through: EntryID,
    last: EntryID, maxBytes: Int, averageSize: Int,
    completion: @escaping (Result<[LedgerEntry], LedgerError>) -> Void
  ) {
    guard isPossible(from: from, through: through, last: last, maxBytes: maxBytes) else {
      return bookies.eventLoop.failLater(
        .invalidRequest(
          "ledger \(view.id): entries \(from) through \(through) with \(maxBytes) bytes at most were asked for; "
            + "0 through \(last) can be read."), completion)
    }
    let attempt = { (completion: @escaping (Result<[LedgerEntry], LedgerError>) -> Void) in
      let reader = reader(view.id, view.metadata, bookies, from, through, maxBytes, averageSize)
      LedgerReadOperation.start(reader, codec: codec, bookies: bookies, completion: completion)
    }
    attempt { result in
      guard case .failure(let error) = result, ReadMetadata.mayExplain(error) else { return completion(result) }
      view.look { isNew in isNew ? attempt(completion) : completion(result) }
    }
  }

  private static func reader(
    _ id: LedgerID, _ metadata: LedgerMetadata, _ bookies: LoopBookies, _ from: EntryID, _ through: EntryID,
    _ maxBytes: Int, _ averageSize: Int
  ) -> LedgerReader {
    var parameters = LedgerReader.Parameters()
    parameters.maximumInFlight = bookies.configuration.maximumReadsInFlight
    parameters.speculativeDelay = bookies.speculativeDelay()
    parameters.allowBatches = bookies.configuration.batchReadEnabled
    // Else each entry is asked of its own first place, and none of the bookies works more than others.
    let stickySlot = Int(id.magnitude % UInt64(max(1, metadata.ensembleSize)))
    parameters.stickySlot = bookies.configuration.stickyReadsEnabled ? stickySlot : nil
    parameters.expectedEntrySize = max(1, averageSize)
    // In the segment that is being written a bookie may only be late.
    if metadata.state != .closed { parameters.settledBefore = metadata.lastSegment.firstEntry }
    return LedgerReader(
      ledgerID: id, metadata: metadata, from: from, through: through, maxBytes: maxBytes, parameters: parameters,
      ranks: bookies.readRanks(metadata, from, through))
  }
}

extension EventLoop {
  /// Calls `completion` with the error in a later turn of the loop, so that it never runs within the call it belongs to.
  func failLater<T>(_ error: LedgerError, _ completion: @escaping (Result<T, LedgerError>) -> Void) {
    assumeIsolated().execute { completion(.failure(error)) }
  }
}

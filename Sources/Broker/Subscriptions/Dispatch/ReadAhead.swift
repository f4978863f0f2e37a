import TopicLog

/// What one subscription read from the log and has not handed out, and where it reads next. Bounded in bytes.
struct ReadAhead {
  struct Request: Equatable, Sendable {
    var from: Position
    var maxEntries: Int
    var maxBytes: Int
    /// Tells an answer apart that was overtaken by a rewind.
    var epoch: UInt64
  }

  let minBatch: Int
  let maxBatch: Int
  let maxBytes: Int

  /// Where the next read begins.
  private(set) var next: Position
  private(set) var epoch: UInt64 = 0
  private(set) var isReading = false
  private(set) var bufferedBytes = 0
  private var entries: [LogEntry] = []
  private var head = 0
  private var batch: Int
  /// A running average: how many permits an entry is likely to take.
  private(set) var averageMessages = 1.0

  init(next: Position, minBatch: Int, maxBatch: Int, maxBytes: Int) {
    self.next = next
    self.minBatch = max(1, minBatch)
    self.maxBatch = max(self.minBatch, maxBatch)
    self.maxBytes = max(1, maxBytes)
    self.batch = self.minBatch
  }

  var count: Int { entries.count - head }
  var isEmpty: Bool { head == entries.count }
  var first: LogEntry? { head < entries.count ? entries[head] : nil }

  /// The next entry that consumers have not seen.
  var frontier: Position { first?.position ?? next }

  /// The number of entries that `messages` permits are likely to take, at least one.
  func entries(forMessages messages: Int) -> Int {
    max(1, averageMessages <= 1 ? messages : Int(Double(min(messages, 1 << 40)) / averageMessages))
  }

  /// What to read, if anything, so that consumers with `demand` permits need not wait. Marks the read as begun.
  mutating func request(demand: Int, lastConfirmed: Position) -> Request? {
    guard demand > 0, !isReading, next <= lastConfirmed, bufferedBytes < maxBytes else { return nil }
    let wanted = min(batch, entries(forMessages: demand) - count)
    guard wanted > 0, count <= batch / 2 else { return nil }
    isReading = true
    return Request(from: next, maxEntries: wanted, maxBytes: maxBytes - bufferedBytes, epoch: epoch)
  }

  /// The answer to `request`.
  /// - Returns: false if it is out of date and must be ignored.
  mutating func received(_ new: [LogEntry], for request: Request) -> Bool {
    guard request.epoch == epoch else { return false }
    isReading = false
    guard let last = new.last else { return true }
    // A full answer means that there is more to come: catching up profits from larger reads.
    batch = new.count >= batch ? min(maxBatch, batch * 2) : minBatch
    for entry in new { bufferedBytes += entry.payload.readableBytes }
    if isEmpty {
      entries = new
      head = 0
    } else {
      if head > entries.count / 2 {
        entries.removeSubrange(..<head)
        head = 0
      }
      entries.append(contentsOf: new)
    }
    next = Position(ledgerID: last.position.ledgerID, entryID: last.position.entryID + 1)
    return true
  }

  /// The read failed; a later `request` asks again.
  mutating func failed(_ request: Request) -> Bool {
    guard request.epoch == epoch else { return false }
    isReading = false
    return true
  }

  /// Takes away the first entry.
  mutating func removeFirst() {
    bufferedBytes -= entries[head].payload.readableBytes
    head += 1
    if head == entries.count {
      entries = []
      head = 0
    }
  }

  mutating func delivered(messages: Int) { averageMessages += (Double(messages) - averageMessages) / 16 }

  /// Forgets what was read, also what is on its way, and begins again at `position`.
  mutating func rewind(to position: Position) {
    next = position
    entries = []
    head = 0
    bufferedBytes = 0
    isReading = false
    epoch += 1
    batch = minBatch
  }
}

import DequeModule
import NIOCore

/// Decides what a handle reads before it is asked for, so that who reads one entry after the other finds the next ones
/// here. A value without I/O or clock.
///
/// A reader is known by where its last read ended: it reads on there. Several may share a handle. From a reader's second
/// read on, what it will ask for next is fetched as soon as it has its answer, as much as it asked for the last time. A read
/// elsewhere is a seek, of the reader that has been silent for longest of those for whom something was fetched, as far as one
/// can tell: that is dropped.
struct LedgerReadAhead {
  /// What a caller wants.
  struct Request: Equatable {
    var id: UInt64
    var from: EntryID
    var through: EntryID
    var maxBytes: Int
  }

  enum Action: Equatable {
    /// Read for the caller; then `readEnded`.
    case read(Request)
    /// Read ahead; then `fetched`.
    case fetch(id: UInt64, from: EntryID, through: EntryID, maxBytes: Int)
    /// These are the entries of the request: a run from its first one on, at least one.
    case answer(UInt64, [LedgerEntry])
  }

  private struct Fetch {
    var id: UInt64
    var bytes: Int
  }

  private struct Stream {
    /// Where the reader reads on.
    var next: EntryID
    /// What it asked for the last time.
    var count: EntryID
    var maxBytes: Int
    var lastUsed: NIODeadline
    var isContinued = false
    /// From `next` on.
    var buffer = Deque<LedgerEntry>()
    var bufferBytes = 0
    var fetch: Fetch?
    var waiting: Request?

    var heldBytes: Int { bufferBytes + (fetch?.bytes ?? 0) }

    mutating func drop() {
      buffer.removeAll()
      bufferBytes = 0
      fetch = nil
    }
  }

  private static let maximumStreams = 4
  /// Less is not worth a read of its own.
  private static let leastBytes = 64 << 10

  private let maximumBytes: Int
  private let idleTime: TimeAmount
  private var streams: [Stream] = []
  private var nextFetch: UInt64 = 0

  /// - Parameters:
  ///   - maximumBytes: payload that is fetched, or being fetched, and not asked for; 0: nothing is read ahead. (One entry may
  ///     be larger.)
  ///   - idleTime: what a reader did not ask for this long is dropped.
  init(maximumBytes: Int, idleTime: TimeAmount = .seconds(2)) {
    self.maximumBytes = maximumBytes
    self.idleTime = idleTime
  }

  /// Bytes that are held, or will be, for reads that were not asked for.
  var heldBytes: Int { streams.reduce(0) { $0 + $1.heldBytes } }

  // MARK: Events

  /// A caller wants entries. `last` is the last entry that can be read, `room` the bytes that all handles together may
  /// still take.
  mutating func wanted(
    _ request: Request, last: EntryID, room: Int, now: NIODeadline, _ actions: inout [Action]
  ) {
    guard maximumBytes > 0 else { return actions.append(.read(request)) }
    guard let index = streams.firstIndex(where: { $0.next == request.from }) else {
      seek()
      if streams.count < Self.maximumStreams {
        streams.append(
          Stream(
            next: request.from, count: request.through - request.from + 1, maxBytes: request.maxBytes, lastUsed: now))
      }
      return actions.append(.read(request))
    }
    streams[index].lastUsed = now
    streams[index].isContinued = true
    streams[index].count = request.through - request.from + 1
    streams[index].maxBytes = request.maxBytes
    if !streams[index].buffer.isEmpty {
      serve(index, request, &actions)
      readOn(index, last: last, room: room, &actions)
    } else if streams[index].fetch != nil, streams[index].waiting == nil {
      streams[index].waiting = request
    } else {
      actions.append(.read(request))
    }
  }

  /// A read for a caller returned the entries `from...through`.
  mutating func readEnded(
    from: EntryID, through: EntryID, last: EntryID, room: Int, now: NIODeadline, _ actions: inout [Action]
  ) {
    guard
      let index = streams.firstIndex(where: { $0.next == from && $0.buffer.isEmpty && $0.fetch == nil }),
      through >= from
    else { return }
    streams[index].next = through + 1
    streams[index].lastUsed = now
    if streams[index].isContinued { readOn(index, last: last, room: room, &actions) }
  }

  /// What was to be read ahead is here; nil if it could not be read: whoever waits for it reads for himself, and gets to
  /// know why.
  mutating func fetched(
    _ id: UInt64, _ entries: [LedgerEntry]?, last: EntryID, room: Int, now: NIODeadline, _ actions: inout [Action]
  ) {
    guard let index = streams.firstIndex(where: { $0.fetch?.id == id }) else { return }
    streams[index].fetch = nil
    let waiting = streams[index].waiting
    streams[index].waiting = nil
    guard let entries, entries.first?.entryID == streams[index].next else {
      if let waiting { actions.append(.read(waiting)) }
      return
    }
    streams[index].buffer = Deque(entries)
    streams[index].bufferBytes = entries.reduce(0) { $0 + $1.payload.readableBytes }
    if let waiting {
      streams[index].lastUsed = now
      serve(index, waiting, &actions)
      readOn(index, last: last, room: room + streams[index].bufferBytes, &actions)
    }
  }

  /// Time has passed: what nobody asks for is dropped.
  mutating func tick(now: NIODeadline) {
    streams.removeAll { $0.waiting == nil && $0.lastUsed + idleTime <= now }
  }

  /// Nobody reads any more.
  mutating func stop() {
    for index in streams.indices where streams[index].waiting == nil { streams[index].drop() }
  }

  // MARK: Rules

  private mutating func seek() {
    let idle = streams.indices.filter { streams[$0].waiting == nil }.sorted {
      streams[$0].lastUsed < streams[$1].lastUsed
    }
    if let holder = idle.first(where: { streams[$0].heldBytes > 0 }) { streams[holder].drop() }
    if streams.count >= Self.maximumStreams, let oldest = idle.first { streams.remove(at: oldest) }
  }

  private mutating func serve(_ index: Int, _ request: Request, _ actions: inout [Action]) {
    var entries: [LedgerEntry] = []
    var bytes = 0
    while let first = streams[index].buffer.first, first.entryID <= request.through {
      let size = first.payload.readableBytes
      guard entries.isEmpty || bytes + size <= request.maxBytes else { break }
      streams[index].buffer.removeFirst()
      entries.append(first)
      bytes += size
    }
    streams[index].bufferBytes -= bytes
    streams[index].next += EntryID(entries.count)
    actions.append(.answer(request.id, entries))
  }

  private mutating func readOn(_ index: Int, last: EntryID, room: Int, _ actions: inout [Action]) {
    let stream = streams[index]
    guard stream.buffer.isEmpty, stream.fetch == nil, stream.next <= last else { return }
    let bytes = min(stream.maxBytes, maximumBytes - heldBytes, room)
    guard bytes > 0, bytes >= min(stream.maxBytes, Self.leastBytes, maximumBytes / 4) else { return }
    nextFetch += 1
    streams[index].fetch = Fetch(id: nextFetch, bytes: bytes)
    let through = min(last, stream.next.addingReportingOverflow(max(1, stream.count) - 1).partialValue)
    actions.append(
      .fetch(id: nextFetch, from: stream.next, through: max(stream.next, through), maxBytes: bytes))
  }
}

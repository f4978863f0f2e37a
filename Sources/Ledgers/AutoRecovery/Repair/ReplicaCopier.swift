import BookieWire
import NIOCore

/// Copies entries of one ledger to a bookie, byte for byte, from whichever replica has them.
///
/// Goes chunk by chunk: a chunk is as many entries as fit its bytes, judged by those seen so far. Nothing is copied whose
/// digest is wrong.
struct ReplicaCopier {
  /// What came of it.
  struct Outcome: Equatable {
    var copied = 0
    var bytes = 0
    /// Entries that no replica has as far as they answered.
    var unrecoverable: [EntryID] = []
    /// Whether any of these may still be on a bookie that did not answer.
    var someUnreachable = false
  }

  private static let chunkBytes = 4 << 20

  let access: ReplicaAccess
  /// Entries in one chunk, at most.
  let maximumEntries: Int
  let throttle: SharedThrottle
  /// Told the bytes that were read and written.
  var onMoved: @Sendable (_ read: Int, _ written: Int, _ entries: Int) -> Void = { _, _, _ in }

  /// Copies `entries` to `target`.
  /// - Parameters:
  ///   - sources: the bookies to ask for an entry, best first; `target` among them is passed over.
  ///   - onlyMissing: look at the target's copy first, and leave it alone if it is good.
  ///   - progress: called after each chunk with its last entry; throwing ends the copying.
  func copy(
    _ entries: some Sequence<EntryID>, to target: String, onlyMissing: Bool, sources: (EntryID) -> [String],
    progress: (EntryID) async throws -> Void
  ) async throws -> Outcome {
    var outcome = Outcome()
    var iterator = entries.makeIterator()
    var seenBytes = 0
    var seenEntries = 0
    while true {
      try Task.checkCancellation()
      let average = seenEntries == 0 ? 64 << 10 : max(1, seenBytes / seenEntries)
      let count = max(1, min(maximumEntries, Self.chunkBytes / average))
      var chunk: [EntryID] = []
      while chunk.count < count, let entry = iterator.next() { chunk.append(entry) }
      guard let last = chunk.last else { return outcome }

      var wanted = chunk
      var readBytes = 0
      if onlyMissing {
        let present = try await access.read(chunk, from: target)
        guard !present.contains(.unreachable) else { throw LedgerError.dataUnavailable("\(target) does not answer.") }
        wanted = []
        for (entry, copy) in zip(chunk, present) {
          guard case .good(let bytes) = copy else {
            wanted.append(entry)
            continue
          }
          readBytes += bytes.readableBytes
          seenBytes += bytes.readableBytes
          seenEntries += 1
        }
      }
      let found = try await fetch(wanted, except: target, sources, &outcome)
      let written = found.reduce(0) { $0 + $1.bytes.readableBytes }
      for (index, answer) in try await access.write(found, to: target).enumerated() where answer != .ok {
        throw LedgerError.dataUnavailable(
          "\(target) did not take entry \(found[index].id): \(answer.map(\.description) ?? "no answer").")
      }
      seenBytes += written
      seenEntries += found.count
      outcome.copied += found.count
      outcome.bytes += written
      onMoved(readBytes + written, written, found.count)
      try await progress(last)
      try await throttle.pay(readBytes + written)
    }
  }

  /// Good copies of as many of `entries` as there are, in their order.
  private func fetch(
    _ entries: [EntryID], except target: String, _ sources: (EntryID) -> [String], _ outcome: inout Outcome
  ) async throws -> [(id: EntryID, bytes: ByteBuffer)] {
    var found: [EntryID: ByteBuffer] = [:]
    var candidates: [EntryID: ArraySlice<String>] = [:]
    for entry in entries { candidates[entry] = sources(entry).filter { $0 != target }[...] }
    var unanswered: Set<EntryID> = []
    while true {
      var requests: [String: [EntryID]] = [:]
      for entry in entries where found[entry] == nil {
        if let source = candidates[entry]?.popFirst() { requests[source, default: []].append(entry) }
      }
      guard !requests.isEmpty else { break }
      for (source, asked) in requests.sorted(by: { $0.key < $1.key }) {
        for (entry, copy) in zip(asked, try await access.read(asked, from: source)) {
          switch copy {
          case .good(let bytes): found[entry] = bytes
          case .unreachable: unanswered.insert(entry)
          case .absent, .damaged: break
          }
        }
      }
    }
    for entry in entries where found[entry] == nil {
      outcome.unrecoverable.append(entry)
      if unanswered.contains(entry) { outcome.someUnreachable = true }
    }
    return entries.compactMap { entry in found[entry].map { (entry, $0) } }
  }
}

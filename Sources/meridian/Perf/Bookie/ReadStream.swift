import BookieWire
import Checksums
import Histogram
import NIOCore

/// One reader: a connection on which a ledger is read from its beginning in batches, some of them under way, on a thread of its
/// own. Every entry's number and digest is verified.
struct ReadStream: Sendable {
  struct Outcome: Sendable {
    var entries = 0
    /// Bytes of entries.
    var bytes = 0
    /// Microseconds from a request to its whole answer.
    var latency = LatencyRecorder.empty()
    var seconds = 0.0
    var cpuSeconds = 0.0

    var megabytesPerSecond: Double { seconds > 0 ? Double(bytes) / 1e6 / seconds : 0 }
  }

  var address: BookieAddress
  var ledgerID: Int64
  /// Entries to read.
  var count: Int
  var firstEntry: Int64 = 0
  /// Entries of one batch.
  var batch: Int
  /// Batches under way.
  var window: Int

  /// Reads once through; ends before that if the gate says so. Blocks.
  func run(_ gate: MeasureGate? = nil) throws -> Outcome {
    let socket = try BookieSocket(address)
    return try run(on: socket, gate)
  }

  func run(on socket: BookieSocket, _ gate: MeasureGate? = nil) throws -> Outcome {
    var outcome = Outcome()
    var asked = 0
    var answered = 0
    /// Batches under way by their first entry: a bookie answers them in any order.
    var times: [UInt64: ContinuousClock.Instant] = [:]
    var reader = BookieFrameReader(maximumFrameLength: 8 << 20)
    let start = ContinuousClock.now
    let cpuStart = CPUTime.thread
    while answered < count {
      if gate?.phase == .over { break }
      while asked < count, times.count < max(1, window) {
        let part = min(batch, count - asked)
        try ask(socket, firstEntry + Int64(asked), part)
        times[UInt64(firstEntry + Int64(asked))] = .now
        asked += part
      }
      var bytes = ByteBufferAllocator().buffer(capacity: 1 << 20)
      try bytes.writeWithUnsafeMutableBytes(minimumWritableBytes: 1 << 20) { buffer in
        try socket.receive(into: buffer, atMost: nil)
      }
      reader.append(bytes)
      while let frame = try reader.nextFrame() {
        guard case .batchRead(let answer) = try BookieResponse(decoding: frame) else {
          throw CommandFailure("the bookie's answer is not one to a batch read")
        }
        guard let sent = times.removeValue(forKey: answer.requestID) else {
          throw CommandFailure("the bookie answered a batch read that was not asked")
        }
        let wanted = min(batch, count - Int(Int64(answer.requestID) - firstEntry))
        guard answer.code == .ok, answer.entries.count == wanted else {
          throw CommandFailure(
            "entry \(answer.requestID) of ledger \(ledgerID): \(answer.code), "
              + "\(answer.entries.count) entries of \(wanted)")
        }
        for (index, entry) in answer.entries.enumerated() {
          try verify(entry, Int64(answer.requestID) + Int64(index))
          outcome.bytes += entry.readableBytes
        }
        answered += wanted
        outcome.entries += wanted
        _ = outcome.latency.record(UInt64(max(1, min(6e8, (ContinuousClock.now - sent).inSeconds * 1e6))))
      }
    }
    outcome.seconds = (ContinuousClock.now - start).inSeconds
    outcome.cpuSeconds = CPUTime.thread - cpuStart
    return outcome
  }

  private func ask(_ socket: BookieSocket, _ entryID: Int64, _ entries: Int) throws {
    let request = BookieRequest.batchRead(
      BatchReadRequest(
        requestID: UInt64(entryID), ledgerID: ledgerID, startEntryID: entryID, maxCount: Int32(clamping: entries),
        maxSize: 5 << 20))
    var frame = ByteBuffer()
    var writer = BookieFrameWriter()
    writer.append(request) { frame.writeImmutableBuffer($0) }
    writer.finish { frame.writeImmutableBuffer($0) }
    try frame.withUnsafeReadableBytes { try socket.send($0) }
  }

  private func verify(_ entry: ByteBuffer, _ entryID: Int64) throws {
    let digestAt = LedgerEntryHeader.byteCount
    let isWhole = entry.withUnsafeReadableBytes { bytes in
      guard bytes.count >= digestAt + 4 else { return false }
      let head = CRC32C.checksum(UnsafeRawBufferPointer(rebasing: bytes[0..<digestAt]))
      let digest = CRC32C.checksum(UnsafeRawBufferPointer(rebasing: bytes[(digestAt + 4)...]), extending: head)
      return UInt32(bigEndian: bytes.loadUnaligned(fromByteOffset: digestAt, as: UInt32.self)) == digest
        && Int64(bigEndian: bytes.loadUnaligned(fromByteOffset: 8, as: Int64.self)) == entryID
    }
    guard isWhole else { throw CommandFailure("entry \(entryID) of ledger \(ledgerID) came back altered") }
  }
}

import BookieWire
import Foundation
import Histogram
import NIOCore

/// One writer: a connection with many adds under way, on a thread of its own.
struct AddStream: Sendable {
  /// What became of the adds while it was measured.
  struct Outcome: Sendable {
    /// Entries acknowledged while it was measured.
    var measured = 0
    /// Entries acknowledged at all.
    var acknowledged = 0
    /// Microseconds from sending (or, with a rate, from the time at which it was due) to the receipt.
    var latency = LatencyRecorder.empty()
    /// CPU seconds of this thread while it was measured.
    var cpuSeconds = 0.0

    static func + (a: Outcome, b: Outcome) -> Outcome {
      var sum = a
      sum.measured += b.measured
      sum.acknowledged += b.acknowledged
      sum.latency.add(b.latency)
      sum.cpuSeconds += b.cpuSeconds
      return sum
    }
  }

  /// Bytes of the answer to an add.
  private static let answerBytes = 28

  var address: BookieAddress
  var ledgerID: Int64
  var firstEntry: Int64 = 0
  /// Whether each entry is the first of a ledger of its own, numbered from `ledgerID` on.
  var isLedgerEach = false
  var payloadBytes: Int
  /// Most adds without an answer.
  var window: Int
  /// Ends after so many entries.
  var limit: Int?
  /// Entries a second; nil: as many as it can.
  var rate: Double?

  /// Adds until the gate says that it is over or the limit is reached, and waits for all receipts. Blocks.
  func run(_ gate: MeasureGate) throws -> Outcome {
    let socket = try BookieSocket(address)
    let frames = AddFrames(
      payloadBytes: payloadBytes, capacity: max(1, min(window, 256 * 1024 / (payloadBytes + 64))))
    let input = UnsafeMutableRawBufferPointer.allocate(byteCount: 128 * 1024, alignment: 16)
    defer { input.deallocate() }
    var outcome = Outcome()
    var sent = 0
    var received = 0
    var partial = 0
    var chunks: CircularBuffer<(count: Int, at: ContinuousClock.Instant)> = []
    let start = ContinuousClock.now
    var phase = MeasureGate.Phase.warmUp
    var cpuStart = CPUTime.thread

    while true {
      let seen = gate.phase
      if seen != phase {
        if seen == .measuring { cpuStart = CPUTime.thread }
        if seen == .over, phase == .measuring { outcome.cpuSeconds = CPUTime.thread - cpuStart }
        phase = seen
      }
      let isDone = phase == .over || limit.map { sent >= $0 } ?? false
      if isDone && received == sent { break }

      var pause: Duration?
      if !isDone {
        var now = ContinuousClock.now
        var allowed = min(window - (sent - received), (limit ?? Int.max) - sent)
        if let rate {
          let due = Int((now - start).inSeconds * rate) + 1
          allowed = min(allowed, due - sent)
          let next = start + .seconds(Double(max(due, sent + 1)) / rate)
          // At least a millisecond's worth at a time, as clients that batch by time do.
          pause = max(next - now, .milliseconds(1))
          if allowed > 0 { now = start + .seconds(Double(sent) / rate) }
        }
        while allowed > 0 {
          let count = min(allowed, frames.capacity)
          for index in 0..<count {
            let number = Int64(sent + index)
            frames.set(
              index, ledgerID: isLedgerEach ? ledgerID + number : ledgerID,
              entryID: isLedgerEach ? 0 : firstEntry + number)
          }
          chunks.append((count, now))
          try socket.send(frames.bytes(count))
          sent += count
          allowed -= count
        }
      }
      guard sent > received else {
        if let pause { usleep(UInt32(max(0, pause.inSeconds * 1e6))) }
        continue
      }
      let room = UnsafeMutableRawBufferPointer(rebasing: input[partial...])
      let count = try socket.receive(into: room, atMost: pause ?? .milliseconds(100))
      guard count > 0 else { continue }
      let bytes = UnsafeRawBufferPointer(rebasing: input[0..<partial + count])
      var at = 0
      var answers = 0
      while at + Self.answerBytes <= bytes.count {
        try check(bytes, at, received + answers)
        at += Self.answerBytes
        answers += 1
      }
      partial = bytes.count - at
      if partial > 0 {
        input.copyMemory(from: UnsafeRawBufferPointer(rebasing: bytes[at...]))
      }
      let now = ContinuousClock.now
      if phase == .measuring { outcome.measured += answers }
      received += answers
      while answers > 0, let first = chunks.first {
        let part = min(answers, first.count)
        if phase == .measuring {
          let microseconds = UInt64(max(1, min(6e8, (now - first.at).inSeconds * 1e6)))
          _ = outcome.latency.record(microseconds, count: UInt64(part))
        }
        answers -= part
        chunks[chunks.startIndex].count -= part
        if part == first.count { chunks.removeFirst() }
      }
    }
    outcome.acknowledged = received
    if phase == .measuring { outcome.cpuSeconds = CPUTime.thread - cpuStart }
    return outcome
  }

  /// Receipts of one connection come in the order of its adds.
  private func check(_ bytes: UnsafeRawBufferPointer, _ at: Int, _ number: Int) throws {
    func integer<T: FixedWidthInteger>(_ offset: Int) -> T {
      T(bigEndian: bytes.loadUnaligned(fromByteOffset: at + offset, as: T.self))
    }
    let length: UInt32 = integer(0)
    let code: Int32 = integer(8)
    let entryID: Int64 = integer(20)
    guard length == 24, code == 0 else {
      throw CommandFailure("the bookie refused entry \(entryID): \(BookieReturnCode(rawValue: code))")
    }
    guard isLedgerEach || entryID == firstEntry + Int64(number) else {
      throw CommandFailure("the receipt of entry \(entryID) came when that of \(firstEntry + Int64(number)) was due")
    }
  }
}

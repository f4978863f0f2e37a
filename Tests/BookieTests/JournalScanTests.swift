import Checksums
import Foundation
import Logging
import NIOCore
import TestSupport
import Testing

@testable import Bookie

@Suite("Journal: torn tail, damaged middle")
struct JournalScanTests {
  static let logID: UInt64 = 42

  /// What stands for a marker among the sizes of payloads.
  static let marker = -1

  /// A file with a header and records of the given payload sizes.
  static func file(_ sizes: [Int], first: UInt64 = 1, spare: Int = 8192, logID: UInt64 = logID) -> [UInt8] {
    var bytes = [UInt8](repeating: 0, count: JournalFormat.headerSize)
    bytes.replaceSubrange(0..<28, with: JournalFormat.header(logID: logID, first: first))
    for (index, size) in sizes.enumerated() {
      let payload = max(0, size)
      var record = [UInt8](
        repeating: UInt8(truncatingIfNeeded: logID &* 16 &+ UInt64(index)),
        count: JournalFormat.recordSize(payload: payload))
      let offset = bytes.count
      record.withUnsafeMutableBytes {
        JournalFormat.seal(
          $0, payload: payload, isMarker: size == marker, logID: logID, sequence: first + UInt64(index), offset: offset)
      }
      bytes += record
    }
    return bytes + [UInt8](repeating: 0, count: spare)
  }

  static func steps(_ bytes: [UInt8], expected: UInt64? = 1) -> [String] {
    var bytes = bytes
    return bytes.withUnsafeMutableBytes { raw in
      var scan = JournalScan(logID: logID, expected: expected)
      var steps: [String] = []
      while true {
        switch scan.next(raw) {
        case .record(let payload, let sequence): steps.append("\(sequence):\(payload.count)")
        case .damaged: steps.append("damaged")
        case .damagedTail: steps.append("damaged tail")
        case .end:
          steps.append("end")
          return steps
        }
      }
    }
  }

  @Test("Whole records come in order, and zeros behind them are the end")
  func whole() {
    let sizes = [10, 5000, 0, 4008, 4009, 300_000, 0]
    let bytes = Self.file(sizes)
    #expect(Self.steps(bytes) == sizes.enumerated().map { "\($0 + 1):\($1)" } + ["end"])
    #expect(JournalFormat.recordSize(payload: 4008) == 4096)
    #expect(JournalFormat.recordSize(payload: 4009) == 8192)
  }

  @Test("Stamps displace nothing: a payload comes back as it was put in")
  func payloads() throws {
    var random = SeededRandom(5)
    for _ in 0..<40 {
      let payload = (0..<Int.random(in: 0...40_000, using: &random)).map { _ in UInt8.random(in: 0...255) }
      var record = [UInt8](repeating: 0, count: JournalFormat.recordSize(payload: payload.count))
      let start = JournalFormat.payloadOffset(recordSize: record.count)
      record.replaceSubrange(start..<start + payload.count, with: payload)
      record.withUnsafeMutableBytes {
        JournalFormat.seal($0, payload: payload.count, logID: 7, sequence: 3, offset: 8192)
      }
      let stored = record
      let found = record.withUnsafeMutableBytes { raw in
        _ = JournalFormat.parseRecord(raw, at: 0, logID: 7, opens: false)
        return JournalFormat.parseRecord(raw, at: 0, logID: 8, opens: true)?.payload
      }
      #expect(found == nil && record == stored)
      let range = record.withUnsafeMutableBytes { JournalFormat.parseRecord($0, at: 0, logID: 7, opens: true)?.payload }
      #expect(Array(record[try #require(range)]) == payload)
    }
  }

  @Test("A record sealed with a known checksum is the same as one that is read for it")
  func knownChecksum() {
    var records = [[UInt8](repeating: 9, count: 4096), [UInt8](repeating: 9, count: 4096)]
    let payload = Array(records[0][JournalFormat.payloadOffset(recordSize: 4096)..<1024])
    records[0].withUnsafeMutableBytes {
      JournalFormat.seal($0, payload: payload.count, logID: 7, sequence: 3, offset: 4096)
    }
    records[1].withUnsafeMutableBytes {
      JournalFormat.seal(
        $0, payload: payload.count, checksum: CRC32C.checksum(payload), logID: 7, sequence: 3, offset: 4096)
    }
    #expect(records[0] == records[1])
  }

  /// `bytes` in which some sectors from `start` on, of a record of `count`, are as they were before.
  static func tear(_ bytes: [UInt8], _ former: [UInt8], _ start: Int, _ lost: Set<Int>) -> [UInt8] {
    var torn = bytes
    for sector in lost {
      let range = start + sector * JournalFormat.sector..<start + (sector + 1) * JournalFormat.sector
      torn.replaceSubrange(range, with: former[range])
    }
    return torn
  }

  @Test("A last record of which any sector is as before was torn: over zeros, and over an earlier life of the file")
  func torn() {
    let bytes = Self.file([10, 7900])
    let start = JournalFormat.headerSize + 4096
    let zeros = [UInt8](repeating: 0, count: bytes.count)
    let former = [zeros, Self.file([9000, 9000], logID: 41), Self.file([10, 10, 10, 10, 10], logID: 40)]
    var random = SeededRandom(3)
    for former in former {
      for sector in 0..<16 { #expect(Self.steps(Self.tear(bytes, former, start, [sector])) == ["1:10", "end"]) }
      for _ in 0..<150 {
        let lost = Set((0..<16).filter { _ in Bool.random(using: &random) })
        let steps = Self.steps(Self.tear(bytes, former, start, lost))
        #expect(steps == (lost.isEmpty ? ["1:10", "2:7900", "end"] : ["1:10", "end"]))
        // Whatever else happened to it: it was never synced.
        guard let sector = (0..<16).first(where: { !lost.contains($0) }), !lost.isEmpty else { continue }
        var flipped = Self.tear(bytes, former, start, lost)
        flipped[start + sector * 512 + Int.random(in: 0..<504, using: &random)] ^= 8
        #expect(Self.steps(flipped) == ["1:10", "end"])
      }
    }
    #expect(Self.steps(Array(Self.file([10], spare: 0))) == ["1:10", "end"])
  }

  @Test("A last record that was written wholly and has changed since is damage, wherever the bit is")
  func damagedTail() {
    let bytes = Self.file([10, 5000])
    let start = JournalFormat.headerSize + 4096
    var whole = 0
    for at in start..<start + 8192 where at % 5 == 0 || at < start + 200 || at % 512 >= 504 {
      var flipped = bytes
      flipped[at] ^= UInt8(1 << (at % 8))
      let steps = Self.steps(flipped)
      // A stamp or the padding: the payload is whole all the same.
      if steps == ["1:10", "2:5000", "end"] { whole += 1 } else { #expect(steps == ["1:10", "damaged tail", "end"]) }
    }
    #expect(whole > 0)
  }

  @Test("Behind a marker nothing is in doubt, and the loss of a marker is none")
  func markers() {
    let bytes = Self.file([10, 7900, Self.marker])
    let start = JournalFormat.headerSize + 4096
    let zeros = [UInt8](repeating: 0, count: bytes.count)
    #expect(Self.steps(bytes) == ["1:10", "2:7900", "3:0", "end"])
    for sector in 0..<16 {
      // A sector that was synced, and that the disk has lost: without the marker it would look torn.
      #expect(Self.steps(Self.tear(bytes, zeros, start, [sector])) == ["1:10", "damaged", "3:0", "end"])
    }
    for at in start + 8192..<start + 8192 + 4096 {
      var flipped = bytes
      flipped[at] ^= 16
      let steps = Self.steps(flipped)
      #expect(steps == ["1:10", "2:7900", "end"] || steps == ["1:10", "2:7900", "3:0", "end"])
    }
    // In the middle, too.
    let middle = Self.file([10, Self.marker, 20])
    for at in stride(from: start, to: start + 4096, by: 3) {
      var flipped = middle
      flipped[at] ^= 16
      #expect(Self.steps(flipped) == ["1:10", "2:0", "3:20", "end"])
    }
    let last = start + 8192
    for sector in 0..<8 {
      let steps = Self.steps(Self.tear(bytes, zeros, last, [sector]))
      #expect(steps == ["1:10", "2:7900", "end"] || steps == ["1:10", "2:7900", "3:0", "end"])
    }
  }

  @Test("A bad record with a whole one behind it is damage, and the scan goes on")
  func damaged() {
    let bytes = Self.file([10, 5000, 20])
    for at in [4096 + 4096, 4096 + 4096 + 5, 4096 + 4096 + 9, 4096 + 4096 + 17, 4096 + 4096 + 21, 4096 + 4096 + 300] {
      var flipped = bytes
      flipped[at] ^= 1
      #expect(Self.steps(flipped) == ["1:10", "damaged", "3:20", "end"])
    }
  }

  @Test("Records of a file's former life are not records")
  func recycled() {
    let old = Self.file([10, 10, 10])
    var bytes = Self.file([10], spare: 0)
    bytes += old[(JournalFormat.headerSize + 4096)...]
    // The former life had another id.
    let steps = bytes.withUnsafeMutableBytes { raw -> [JournalScan.Step] in
      var scan = JournalScan(logID: 43, expected: 1)
      return [scan.next(raw)]
    }
    #expect(steps == [.end(offset: JournalFormat.headerSize)])
  }

  @Test("Random bytes never crash the scan or the items")
  func fuzz() {
    for _ in 0..<300 {
      var bytes = Self.file([10, 200, 30])
      for _ in 0..<Int.random(in: 1...20) { bytes[Int.random(in: 0..<bytes.count)] = UInt8.random(in: 0...255) }
      _ = Self.steps(bytes)
      bytes.withUnsafeBytes { raw in
        _ = JournalTail(raw, at: 4096, logID: Self.logID, sequence: 1)
        var items = JournalItems(raw, 4096..<raw.count)
        while items.next() != nil {}
        _ = JournalFormat.parseHeader(raw)
      }
    }
  }

  @Test("A journal of which no file is left is damage, whatever else lies there")
  func emptyJournal() throws {
    let directory = try TemporaryDirectory()
    defer { directory.remove() }
    #expect(FileManager.default.createFile(atPath: directory.path + "/" + Journal.spareName, contents: nil))
    for (sequence, isDamaged) in [(0, false), (7, true)] {
      let mark = JournalMark(sequence: UInt64(sequence))
      let replay = JournalReplay(directory: directory.path, mark: mark, logger: Logger(label: "test"))
      var reports = 0
      let outcome = try replay.run(damaged: { reports += 1 }) { _, _ in }
      #expect(outcome.isDamaged == isDamaged && reports == (isDamaged ? 1 : 0))
      // One that is lost is counted: behind the gap the loss is found again.
      #expect(outcome.lastSequence == mark.sequence + (isDamaged ? 1 : 0))
    }
  }
}

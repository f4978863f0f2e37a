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

  /// A file with a header and records of the given payload sizes.
  static func file(_ sizes: [Int], first: UInt64 = 1, spare: Int = 8192) -> [UInt8] {
    var bytes = [UInt8](repeating: 0, count: JournalFormat.headerSize)
    bytes.replaceSubrange(0..<28, with: JournalFormat.header(logID: logID, first: first))
    for (index, size) in sizes.enumerated() {
      var record = [UInt8](
        repeating: UInt8(index + 1), count: JournalFormat.aligned(JournalFormat.recordHeaderSize + size))
      record.withUnsafeMutableBytes {
        JournalFormat.seal($0, payload: size, logID: logID, sequence: first + UInt64(index))
      }
      bytes += record
    }
    return bytes + [UInt8](repeating: 0, count: spare)
  }

  static func steps(_ bytes: [UInt8], expected: UInt64? = 1) -> [String] {
    bytes.withUnsafeBytes { raw in
      var scan = JournalScan(logID: logID, expected: expected)
      var steps: [String] = []
      while true {
        switch scan.next(raw) {
        case .record(let payload, let sequence): steps.append("\(sequence):\(payload.count)")
        case .damaged: steps.append("damaged")
        case .end:
          steps.append("end")
          return steps
        }
      }
    }
  }

  @Test("Whole records come in order, and zeros behind them are the end")
  func whole() {
    #expect(Self.steps(Self.file([10, 5000, 0, 4072])) == ["1:10", "2:5000", "3:0", "4:4072", "end"])
  }

  @Test("A record sealed with a known checksum is the same as one that is read for it")
  func knownChecksum() {
    var records = [[UInt8](repeating: 9, count: 4096), [UInt8](repeating: 9, count: 4096)]
    let payload = Array(records[0][JournalFormat.recordHeaderSize..<1024])
    records[0].withUnsafeMutableBytes { JournalFormat.seal($0, payload: payload.count, logID: 7, sequence: 3) }
    records[1].withUnsafeMutableBytes {
      JournalFormat.seal($0, payload: payload.count, checksum: CRC32C.checksum(payload), logID: 7, sequence: 3)
    }
    #expect(records[0] == records[1])
  }

  @Test("A bad last record is a torn tail wherever it is cut or flipped")
  func torn() {
    let bytes = Self.file([10, 5000], spare: 0)
    let start = JournalFormat.headerSize + 4096
    for cut in stride(from: start, to: start + 5024, by: 61) {
      #expect(Self.steps(Array(bytes.prefix(cut))) == ["1:10", "end"])
    }
    for at in stride(from: start, to: start + 5024, by: 53) where !(start + 20..<start + 24).contains(at) {
      var flipped = bytes
      flipped[at] ^= 4
      #expect(Self.steps(flipped) == ["1:10", "end"])
    }
  }

  @Test("A bad record with a whole one behind it is damage, and the scan goes on")
  func damaged() {
    let bytes = Self.file([10, 5000, 20])
    for at in [4096 + 4096, 4096 + 4096 + 5, 4096 + 4096 + 9, 4096 + 4096 + 17, 4096 + 4096 + 300] {
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
    let steps = bytes.withUnsafeBytes { raw -> [JournalScan.Step] in
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
        var items = JournalItems(raw, 4096..<raw.count)
        while items.next() != nil {}
        _ = JournalFormat.parseHeader(raw)
      }
    }
  }

  @Test("A journal that is gone is damage, but not when a start was killed while it exchanged the files")
  func emptyJournal() throws {
    let directory = try TemporaryDirectory()
    defer { directory.remove() }
    let mark = JournalMark(sequence: 7)
    let replay = JournalReplay(directory: directory.path, mark: mark, logger: Logger(label: "test"))
    let gone = try replay.run { _, _, _ in }
    #expect(gone.isDamaged)
    #expect(FileManager.default.createFile(atPath: directory.path + "/" + Journal.spareName, contents: nil))
    let exchanged = try replay.run { _, _, _ in }
    #expect(!exchanged.isDamaged)
    #expect(exchanged.lastSequence == 7)
  }
}

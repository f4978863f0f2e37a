import BookieWire
import Logging
import NIOConcurrencyHelpers
import NIOCore

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// Measures ways of making bytes durable, and the journal itself, on one disk in one run: only their ratio says something.
public enum JournalBenchmark {
  /// One way, measured.
  public struct Result: Sendable {
    /// What was done.
    public var name: String
    /// Bytes of each synced write.
    public var batchBytes: Int
    /// Synced writes.
    public var batches: Int
    /// Seconds that all of them took.
    public var seconds: Double
    /// Half of the writes were synced within so many microseconds.
    public var medianMicroseconds: Double
    /// 99 % of the writes were synced within so many microseconds.
    public var p99Microseconds: Double

    /// Bytes a second.
    public var bytesPerSecond: Double { seconds > 0 ? Double(batches * batchBytes) / seconds : 0 }
  }

  private struct Way {
    var name: String
    var flags: Int32
    var isPreallocated: Bool
    var syncs: Bool
  }

  #if os(Linux)
    #if arch(arm64) || arch(arm)
      private static let direct: Int32 = 0o200000
    #else
      private static let direct: Int32 = 0o40000
    #endif
    private static let ways = [
      Way(name: "buffered, growing, fdatasync", flags: 0, isPreallocated: false, syncs: true),
      Way(name: "buffered, preallocated, fdatasync", flags: 0, isPreallocated: true, syncs: true),
      Way(name: "O_DIRECT, preallocated, fdatasync", flags: direct, isPreallocated: true, syncs: true),
      Way(name: "O_DIRECT + O_DSYNC, preallocated", flags: direct | O_DSYNC, isPreallocated: true, syncs: false),
    ]
  #else
    private static let ways = [
      Way(name: "buffered, growing, sync", flags: 0, isPreallocated: false, syncs: true),
      Way(name: "buffered, preallocated, sync", flags: 0, isPreallocated: true, syncs: true),
    ]
  #endif

  /// Measures each way, and then the journal with one append under way at a time and with several, each append being one
  /// synced write. Blocks for as long as it takes; the files are removed.
  ///
  /// - Parameters:
  ///   - directory: an existing directory on the disk to measure.
  ///   - batchBytes: bytes of one write, rounded up to 4096.
  ///   - batches: number of writes of each way.
  /// - Throws: ``BookieError`` if the disk refuses.
  public static func run(directory: String, batchBytes: Int, batches: Int) throws -> [Result] {
    let size = JournalFormat.aligned(max(1, batchBytes))
    var results: [Result] = []
    for way in ways {
      if let result = try raw(way, directory, size, max(1, batches)) { results.append(result) }
    }
    for depth in [1, 4] { results.append(try journal(directory, size, max(1, batches), depth: depth)) }
    return results
  }

  /// Nil if the file system has no such way.
  private static func raw(_ way: Way, _ directory: String, _ size: Int, _ batches: Int) throws -> Result? {
    let path = directory + "/journal-benchmark"
    defer { unlink(path) }
    if way.isPreallocated {
      let file = try PosixFile(path: path, mode: .write)
      let zeros = AlignedBuffer(capacity: size)
      zeros.zero(0..<size)
      for batch in 0..<batches { try file.write(UnsafeRawBufferPointer(zeros.bytes), at: batch * size) }
      try file.syncAll()
    }
    let descriptor = systemOpen(path, O_RDWR | O_CREAT | O_CLOEXEC | way.flags)
    guard descriptor >= 0 else {
      if errno == EINVAL { return nil }
      throw BookieError.io(action: "Opening", path: path, errno: errno)
    }
    defer { close(descriptor) }
    let buffer = AlignedBuffer(capacity: size)
    for index in buffer.bytes.indices { buffer.bytes[index] = UInt8(truncatingIfNeeded: index &* 31) }
    var times: [Int64] = []
    times.reserveCapacity(batches)
    for batch in 0..<batches {
      let start = NIODeadline.now()
      guard pwrite(descriptor, buffer.bytes.baseAddress, size, off_t(batch * size)) == size else {
        throw BookieError.io(action: "Writing", path: path, errno: errno)
      }
      #if canImport(Darwin)
        let synced = way.syncs ? fcntl(descriptor, F_FULLFSYNC) : 0
      #else
        let synced = way.syncs ? fdatasync(descriptor) : 0
      #endif
      guard synced == 0 else { throw BookieError.io(action: "Syncing", path: path, errno: errno) }
      times.append((NIODeadline.now() - start).nanoseconds)
    }
    return result(way.name, size, times, seconds: Double(times.reduce(0, +)) / 1e9)
  }

  private static func journal(_ directory: String, _ size: Int, _ batches: Int, depth: Int) throws -> Result {
    let path = directory + "/journal-benchmark.d"
    var configuration = BookieConfiguration(
      bookieID: "benchmark", journalDirectories: [path], ledgerDirectories: [path])
    let files = configuration.environment.files
    try files.createDirectory(path)
    defer {
      for name in (try? files.list(path)) ?? [] { try? files.remove(path + "/" + name) }
      rmdir(path)
    }
    configuration.journalMaxGroupBytes = size
    configuration.journalMaxFileSize = (batches + 2) * size
    configuration.journalPreallocation = (batches + 2) * size
    let failure = NIOLockedValueBox<String?>(nil)
    let workers = StorageWorkers(hasThreads: true)
    let done = Mailbox<NIODeadline>()
    let journal = Journal(
      configuration: configuration, directory: path, after: JournalMark(), spare: nil,
      logger: Logger(label: "benchmark"),
      onFailure: { text in
        failure.withLockedValue { $0 = text }
        done.close()
      }, onFullDisk: { _ in })
    try journal.start("journal-bench", workers)
    defer {
      journal.mailbox.close()
      workers.join("journal-bench")
    }
    // The record's header has its place in the same write.
    let entry = EntrySegment.filled(byteCount: size - JournalFormat.recordHeaderSize)
    var times: [Int64] = []
    var starts: CircularBuffer<NIODeadline> = []
    let start = NIODeadline.now()
    var submitted = 0
    while times.count < batches {
      while submitted < batches, starts.count < depth {
        let now = NIODeadline.now()
        starts.append(now)
        submitted += 1
        journal.append(
          JournalAppend(
            segment: entry, entries: 1, at: now, completion: .call { _ in done.push(.now()) }))
      }
      done.wait(until: nil)
      guard let ends = done.take() else {
        throw BookieError.configuration(failure.withLockedValue { $0 } ?? "The journal has ended.")
      }
      for end in ends { times.append((end - starts.removeFirst()).nanoseconds) }
    }
    let seconds = Double((NIODeadline.now() - start).nanoseconds) / 1e9
    return result("journal, \(depth) under way", size, times, seconds: seconds)
  }

  private static func result(_ name: String, _ size: Int, _ times: [Int64], seconds: Double) -> Result {
    let sorted = times.sorted()
    func quantile(_ share: Double) -> Double {
      sorted.isEmpty ? 0 : Double(sorted[min(sorted.count - 1, Int(Double(sorted.count) * share))]) / 1000
    }
    return Result(
      name: name, batchBytes: size, batches: times.count, seconds: seconds, medianMicroseconds: quantile(0.5),
      p99Microseconds: quantile(0.99))
  }
}

extension EntrySegment {
  /// One entry that takes `byteCount` bytes with its item header.
  fileprivate static func filled(byteCount: Int) -> EntrySegment {
    var segment = EntrySegment(capacity: byteCount)
    _ = segment.append(EntryBytes(head: ByteBuffer(repeating: 7, count: max(0, byteCount - 4))))
    return segment
  }
}

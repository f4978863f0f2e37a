import BookieWire
import Logging
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
    /// A quarter of the writes were synced within so many microseconds: what the disk does while nothing else gets in the way.
    public var quartileMicroseconds: Double
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

  /// Measures each way, and the journal with one append under way at a time and with several, each append being one synced
  /// write. The ways take turns, so that whatever else the machine does falls on all of them. Blocks for as long as it takes;
  /// the files are removed.
  ///
  /// - Parameters:
  ///   - directory: an existing directory on the disk to measure.
  ///   - batchBytes: bytes of one write, rounded up to 4096.
  ///   - batches: number of writes of each way.
  /// - Throws: ``BookieError`` if the disk refuses.
  public static func run(directory: String, batchBytes: Int, batches: Int) throws -> [Result] {
    let size = JournalFormat.aligned(max(1, batchBytes))
    let batches = max(1, batches)
    var contestants: [any Contestant] = []
    defer { for contestant in contestants { contestant.remove() } }
    for (index, way) in ways.enumerated() {
      let path = "\(directory)/journal-benchmark-\(index)"
      if let raw = try RawWrites(way, path: path, size: size, batches: batches) { contestants.append(raw) }
    }
    for depth in [1, 4] {
      let path = "\(directory)/journal-benchmark-depth-\(depth)"
      contestants.append(try JournalWrites(directory: path, size: size, batches: batches, depth: depth))
    }
    var left = batches
    while left > 0 {
      let turn = min(left, 20)
      for contestant in contestants { try contestant.write(turn) }
      left -= turn
    }
    return contestants.map { result($0.name, size, $0.times, seconds: $0.seconds) }
  }

  /// One that takes turns with others.
  private protocol Contestant: AnyObject {
    var name: String { get }
    /// Nanoseconds of each write.
    var times: [Int64] { get }
    /// Of all its turns.
    var seconds: Double { get }
    func write(_ batches: Int) throws
    func remove()
  }

  private final class RawWrites: Contestant {
    let name: String
    private(set) var times: [Int64] = []
    var seconds: Double { Double(times.reduce(0, +)) / 1e9 }
    private let path: String
    private let size: Int
    private let syncs: Bool
    private let descriptor: Int32
    private let buffer: AlignedBuffer

    /// Nil if the file system has no such way.
    init?(_ way: Way, path: String, size: Int, batches: Int) throws {
      name = way.name
      self.path = path
      self.size = size
      syncs = way.syncs
      buffer = AlignedBuffer(capacity: size)
      if way.isPreallocated {
        buffer.zero(0..<size)
        let file = try PosixFile(path: path, mode: .write)
        for batch in 0..<batches { try file.write(UnsafeRawBufferPointer(buffer.bytes), at: batch * size) }
        try file.syncAll()
      }
      descriptor = systemOpen(path, O_RDWR | O_CREAT | O_CLOEXEC | way.flags)
      guard descriptor >= 0 else {
        let reason = errno
        unlink(path)
        if reason == EINVAL { return nil }
        throw BookieError.io(action: "Opening", path: path, errno: reason)
      }
      buffer.bytes.initializeMemory(as: UInt8.self, repeating: 0x5A)
    }

    func write(_ batches: Int) throws {
      for _ in 0..<batches {
        let start = NIODeadline.now()
        guard pwrite(descriptor, buffer.bytes.baseAddress, size, off_t(times.count * size)) == size else {
          throw BookieError.io(action: "Writing", path: path, errno: errno)
        }
        #if canImport(Darwin)
          let synced = syncs ? fcntl(descriptor, F_FULLFSYNC) : 0
        #else
          let synced = syncs ? fdatasync(descriptor) : 0
        #endif
        guard synced == 0 else { throw BookieError.io(action: "Syncing", path: path, errno: errno) }
        times.append((NIODeadline.now() - start).nanoseconds)
      }
    }

    func remove() {
      close(descriptor)
      unlink(path)
    }
  }

  private final class JournalWrites: Contestant {
    let name: String
    private(set) var times: [Int64] = []
    private(set) var seconds = 0.0
    private let directory: String
    private let depth: Int
    private let journal: Journal
    private let workers = StorageWorkers(hasThreads: true)
    private let done = Mailbox<NIODeadline>()
    private let entry: EntrySegment

    init(directory: String, size: Int, batches: Int, depth: Int) throws {
      name = "journal, \(depth) under way"
      self.directory = directory
      self.depth = depth
      var configuration = BookieConfiguration(
        bookieID: "benchmark", journalDirectories: [directory], ledgerDirectories: [directory])
      configuration.journalMaxGroupBytes = size
      configuration.journalMaxFileSize = (batches + 2) * size
      configuration.journalPreallocation = (batches + 2) * size
      try configuration.environment.files.createDirectory(directory)
      let done = done
      journal = Journal(
        configuration: configuration, directory: directory, after: JournalMark(), spare: nil,
        logger: Logger(label: "benchmark"), onFailure: { _ in done.close() }, onFullDisk: { _ in done.close() })
      // The record's header and stamps have their place in the same write.
      var segment = EntrySegment(capacity: size)
      let bytes = max(0, size - JournalFormat.payloadOffset(recordSize: size) - 4)
      _ = segment.append(EntryBytes(head: ByteBuffer(repeating: 7, count: bytes)))
      // Connections compute it before they hand a batch over.
      segment.computeChecksum()
      entry = segment
      try journal.start("journal-bench", workers)
    }

    func write(_ batches: Int) throws {
      var starts: CircularBuffer<NIODeadline> = []
      let begin = NIODeadline.now()
      var submitted = 0
      var finished = 0
      while finished < batches {
        while submitted < batches, starts.count < depth {
          let now = NIODeadline.now()
          starts.append(now)
          submitted += 1
          journal.append(
            JournalAppend(
              segment: entry, entries: 1, at: now, completion: .call { [done] _ in done.push(.now()) }))
        }
        done.wait(until: nil)
        guard let ends = done.take() else {
          throw BookieError.configuration("The journal in \(directory) could not write: check the disk's space.")
        }
        for end in ends {
          finished += 1
          times.append((end - starts.removeFirst()).nanoseconds)
        }
      }
      seconds += Double((NIODeadline.now() - begin).nanoseconds) / 1e9
    }

    func remove() {
      journal.mailbox.close()
      workers.join("journal-bench")
      let files = PosixFiles()
      for name in (try? files.list(directory)) ?? [] { try? files.remove(directory + "/" + name) }
      rmdir(directory)
    }
  }

  private static func result(_ name: String, _ size: Int, _ times: [Int64], seconds: Double) -> Result {
    let sorted = times.sorted()
    func quantile(_ share: Double) -> Double {
      sorted.isEmpty ? 0 : Double(sorted[min(sorted.count - 1, Int(Double(sorted.count) * share))]) / 1000
    }
    return Result(
      name: name, batchBytes: size, batches: times.count, seconds: seconds,
      quartileMicroseconds: quantile(0.25), medianMicroseconds: quantile(0.5),
      p99Microseconds: quantile(0.99))
  }
}

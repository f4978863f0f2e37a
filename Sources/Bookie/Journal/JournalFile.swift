import NIOCore

/// One journal file that is being written.
///
/// The space ahead of the records is written with zeros beforehand, or is that of an old journal file: a sync then changes no
/// file system metadata, which makes it about twice as fast.
struct JournalFile {
  let firstSequence: UInt64
  let logID: UInt64
  let path: String
  private(set) var offset = JournalFormat.headerSize
  private let file: PosixFile
  private var allocated: Int
  private let step: Int

  /// Creates the file for records from `firstSequence` on, out of `recycled` if there is one.
  init(directory: String, firstSequence: UInt64, recycled: String?, preallocation: Int) throws(BookieError) {
    self.firstSequence = firstSequence
    path = directory + "/" + JournalFormat.fileName(first: firstSequence)
    logID = UInt64.random(in: 1...UInt64.max)
    step = JournalFormat.aligned(max(preallocation, JournalFormat.alignment))
    if let recycled { try Directory.rename(recycled, to: path) }
    file = try PosixFile(path: path, mode: .direct)
    allocated = recycled == nil ? 0 : try file.size() / JournalFormat.alignment * JournalFormat.alignment
    let block = AlignedBuffer(capacity: JournalFormat.headerSize)
    block.zero(0..<JournalFormat.headerSize)
    JournalFormat.header(logID: logID, first: firstSequence).withUnsafeBytes { block.bytes.copyMemory(from: $0) }
    try file.write(UnsafeRawBufferPointer(rebasing: block.bytes[0..<JournalFormat.headerSize]), at: 0)
    allocated = max(allocated, JournalFormat.headerSize)
    if recycled == nil { try extend(to: allocated + 1) }
    try file.syncAll()
    try Directory.sync(directory)
  }

  /// Whether a record of `size` bytes still fits below `limit`.
  func fits(_ size: Int, limit: Int) -> Bool {
    offset == JournalFormat.headerSize || offset + size <= limit
  }

  /// Writes a sealed record of a whole number of blocks and returns when it is on the device.
  mutating func append(_ record: UnsafeRawBufferPointer, fault: (@Sendable () throws(BookieError) -> Void)?)
    throws(BookieError)
  {
    if offset + record.count > allocated { try extend(to: offset + record.count) }
    try file.write(record, at: offset)
    if let fault { try fault() }
    try file.sync()
    offset += record.count
  }

  private mutating func extend(to size: Int) throws(BookieError) {
    let zeros = AlignedBuffer(capacity: 1024 * 1024)
    zeros.zero(0..<zeros.bytes.count)
    var goal = max(size, allocated + step)
    goal = JournalFormat.aligned(goal)
    while allocated < goal {
      let count = min(zeros.bytes.count, goal - allocated)
      try file.write(UnsafeRawBufferPointer(rebasing: zeros.bytes[0..<count]), at: allocated)
      allocated += count
    }
    try file.syncAll()
  }
}

/// Memory at an address that direct I/O accepts.
final class AlignedBuffer {
  let bytes: UnsafeMutableRawBufferPointer

  init(capacity: Int) {
    bytes = .allocate(byteCount: JournalFormat.aligned(capacity), alignment: JournalFormat.alignment)
  }

  deinit { bytes.deallocate() }

  func zero(_ range: Range<Int>) {
    guard !range.isEmpty else { return }
    UnsafeMutableRawBufferPointer(rebasing: bytes[range]).initializeMemory(as: UInt8.self, repeating: 0)
  }
}

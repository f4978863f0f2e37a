import NIOCore

/// One journal file that is being written.
///
/// The space ahead of the records is written with zeros beforehand, or is that of an old journal file: a sync then changes no
/// file system metadata, which makes it about twice as fast, and a full disk shows before a record is begun.
struct JournalFile {
  let firstSequence: UInt64
  let logID: UInt64
  let path: String
  private(set) var offset = JournalFormat.headerSize
  private let file: any StorageFile
  private var allocated: Int
  private let step: Int

  /// The name of a file that is being prepared.
  static let nextName = "next.free"

  /// Creates the file for records from `firstSequence` on, out of `recycled` if there is one.
  ///
  /// It gets its name only when its header and its space are on the device: a file with the name of a journal has begun, and
  /// what fails before leaves none.
  init(
    directory: String, firstSequence: UInt64, recycled: String?, preallocation: Int, mode: StorageFileMode,
    environment: StorageEnvironment
  ) throws(BookieError) {
    let files = environment.files
    self.firstSequence = firstSequence
    path = directory + "/" + JournalFormat.fileName(first: firstSequence)
    logID = environment.random()
    step = JournalFormat.aligned(max(preallocation, JournalFormat.alignment))
    let prepared = recycled ?? directory + "/" + Self.nextName
    // Only what this format wrote can be told from what will be written over it.
    if let recycled, try !Self.isJournal(recycled, files) { try files.remove(recycled) }
    file = try files.open(prepared, mode)
    allocated = try file.size() / JournalFormat.alignment * JournalFormat.alignment
    let block = AlignedBuffer(capacity: JournalFormat.headerSize)
    block.zero(0..<JournalFormat.headerSize)
    JournalFormat.header(logID: logID, first: firstSequence).withUnsafeBytes { block.bytes.copyMemory(from: $0) }
    try file.write(UnsafeRawBufferPointer(rebasing: block.bytes[0..<JournalFormat.headerSize]), at: 0)
    if allocated < JournalFormat.headerSize + step {
      allocated = max(allocated, JournalFormat.headerSize)
      try extend(to: JournalFormat.headerSize + step)
    }
    try file.syncAll()
    try files.rename(prepared, to: path)
    try files.syncDirectory(directory)
  }

  /// Whether the file was written by this version of the format.
  private static func isJournal(_ path: String, _ files: any StorageFiles) throws(BookieError) -> Bool {
    let block = AlignedBuffer(capacity: JournalFormat.headerSize)
    let count = try files.open(path, .read).read(into: block.bytes, at: 0)
    return JournalFormat.parseHeader(UnsafeRawBufferPointer(rebasing: block.bytes[0..<count])) != nil
  }

  /// Whether a record of `size` bytes still fits below `limit`.
  func fits(_ size: Int, limit: Int) -> Bool {
    offset == JournalFormat.headerSize || offset + size <= limit
  }

  /// Makes sure that there is space for a record of `size` bytes. Nothing is lost if there is not.
  mutating func reserve(_ size: Int) throws(BookieError) {
    if offset + size > allocated { try extend(to: offset + size) }
  }

  /// Writes a sealed record of a whole number of blocks. It takes effect with `sync`; until then it is written over by the
  /// next one.
  func write(_ record: UnsafeRawBufferPointer) throws(BookieError) {
    try file.write(record, at: offset)
  }

  /// Returns when the record of `size` bytes that was written is on the device.
  mutating func sync(_ size: Int) throws(BookieError) {
    try file.sync()
    offset += size
  }

  private mutating func extend(to size: Int) throws(BookieError) {
    let goal = JournalFormat.aligned(max(size, allocated + step))
    let zeros = AlignedBuffer(capacity: min(1024 * 1024, goal - allocated))
    zeros.zero(0..<zeros.bytes.count)
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

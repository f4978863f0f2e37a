import BookieWire
import Checksums
import NIOCore

/// The kinds of items in a journal record.
enum JournalItemKind: UInt32 {
  /// Bytes to skip: an add that was refused after its bytes were in place.
  case void = 0
  /// An entry as it is stored.
  case entry = 1
  /// A ledger and its master key: `ledgerId 8 | key 20`.
  case ledger = 2
  /// A fence and the master key it came with: `ledgerId 8 | key 20`.
  case fence = 3

  static let sizeMask: UInt32 = 0x0FFF_FFFF

  func header(size: Int) -> UInt32 { rawValue << 28 | UInt32(size) & Self.sizeMask }
}

/// The bytes of a batch of adds, laid out as the journal writes them: `kind and size 4 | bytes` for each item.
///
/// Small entries are copied next to each other; an entry of `gatherLimit` bytes or more stays in the buffers that it came
/// in and is only spliced into the layout. The journal writes from here, and the write cache reads from here.
struct EntrySegment {
  /// Entries shorter than this are copied: it is cheaper than holding on to a buffer each.
  static let gatherLimit = 16 * 1024

  /// Where an entry's bytes are.
  struct Location: Equatable {
    /// Offset in the arena; of the place where the payload is spliced in if there is one.
    var offset: UInt32
    var length: UInt32
    /// Index of the spliced payload; -1 if the bytes are in the arena.
    var payload: Int32
  }

  private struct Payload {
    var offset: Int
    var entry: EntryBytes
  }

  private var arena: ByteBuffer
  private var payloads: [Payload] = []
  /// Bytes in all items, headers included.
  private(set) var byteCount = 0
  /// The CRC32C of all items, if it was computed and holds.
  private var knownChecksum: UInt32?

  init(capacity: Int) {
    arena = ByteBufferAllocator().buffer(capacity: capacity)
  }

  /// The items that a record of the journal held, where they are.
  init(items: ByteBuffer) {
    arena = items
    byteCount = items.readableBytes
  }

  /// Appends an entry. Returns where its item header is, for `void`, and where its bytes are.
  mutating func append(_ entry: EntryBytes) -> (item: Int, location: Location) {
    let size = entry.count
    let item = arena.writerIndex
    knownChecksum = nil
    arena.writeInteger(JournalItemKind.entry.header(size: size))
    byteCount += 4 + size
    let offset = UInt32(arena.writerIndex)
    guard size >= Self.gatherLimit else {
      entry.copy(into: &arena)
      return (item, Location(offset: offset, length: UInt32(size), payload: -1))
    }
    payloads.append(Payload(offset: arena.writerIndex, entry: entry))
    return (item, Location(offset: offset, length: UInt32(size), payload: Int32(payloads.count - 1)))
  }

  /// Appends what must be remembered of a ledger.
  mutating func append(_ kind: JournalItemKind, ledgerID: Int64, key: LedgerMasterKey) {
    let start = arena.writerIndex
    arena.writeInteger(kind.header(size: 8 + LedgerMasterKey.byteCount))
    arena.writeInteger(ledgerID)
    key.write(into: &arena)
    byteCount += 12 + LedgerMasterKey.byteCount
    if let known = knownChecksum, let item = arena.getSlice(at: start, length: 12 + LedgerMasterKey.byteCount) {
      knownChecksum = CRC32C.checksum(item, extending: known)
    }
  }

  /// Makes replay skip the item at `item`.
  mutating func void(item: Int, length: Int) {
    arena.setInteger(JournalItemKind.void.header(size: length), at: item)
    knownChecksum = nil
  }

  /// The entry at `location`, sharing this segment's memory where it is in one piece.
  func entry(at location: Location) -> ByteBuffer {
    if location.payload >= 0 { return payloads[Int(location.payload)].entry.joined() }
    return arena.getSlice(at: Int(location.offset), length: Int(location.length)) ?? ByteBuffer()
  }

  /// The CRC32C of all items.
  var checksum: UInt32 {
    if let knownChecksum { return knownChecksum }
    var crc: UInt32 = 0
    forEachPiece { crc = CRC32C.checksum($0, extending: crc) }
    return crc
  }

  /// Computes the checksum now, so that whoever asks for it later has it for nothing.
  mutating func computeChecksum() {
    knownChecksum = checksum
  }

  /// Calls `visit` with the bytes of all items in order.
  func forEachPiece(_ visit: (UnsafeRawBufferPointer) -> Void) {
    arena.withUnsafeReadableBytes { bytes in
      var from = 0
      for payload in payloads {
        visit(UnsafeRawBufferPointer(rebasing: bytes[from..<payload.offset]))
        payload.entry.forEachPiece { $0.withUnsafeReadableBytes(visit) }
        from = payload.offset
      }
      if from < bytes.count { visit(UnsafeRawBufferPointer(rebasing: bytes[from...])) }
    }
  }
}

import BookieWire
import Checksums
import NIOCore

/// Frames of adds that lie one behind the other, made once by the codec; for each entry only what differs is written again.
///
/// Offsets in a frame: `length 4 | packet header 4 | key 20 | ledger 8 | entry 8 | last confirmed 8 | length 8 | digest 4 |
/// payload`.
final class AddFrames {
  private static let entryAt = 28
  private static let digestAt = entryAt + LedgerEntryHeader.byteCount

  /// Bytes of one frame.
  let frameBytes: Int
  /// Most frames at a time.
  let capacity: Int
  private let memory: UnsafeMutableRawBufferPointer

  /// - Parameters:
  ///   - payloadBytes: of each entry.
  ///   - capacity: most frames at a time.
  init(payloadBytes: Int, capacity: Int) {
    let header = LedgerEntryHeader(ledgerID: 0, entryID: 0, lastAddConfirmed: -1, length: 0)
    let payload = ByteBuffer(bytes: (0..<payloadBytes).map { UInt8(truncatingIfNeeded: $0 &* 31 &+ $0 >> 8) })
    let entry = LedgerEntryCodec(digest: .crc32c).encode(header, payload)
    let request = BookieRequest.add(
      AddRequest(masterKey: LedgerMasterKey(password: []), ledgerID: 0, entryID: 0, entry: entry))
    var frame = ByteBuffer()
    var writer = BookieFrameWriter()
    writer.append(request) { frame.writeImmutableBuffer($0) }
    writer.finish { frame.writeImmutableBuffer($0) }
    frameBytes = frame.readableBytes
    self.capacity = capacity
    memory = .allocate(byteCount: frame.readableBytes * capacity, alignment: 16)
    frame.withUnsafeReadableBytes { bytes in
      for index in 0..<capacity {
        UnsafeMutableRawBufferPointer(rebasing: memory[index * bytes.count..<(index + 1) * bytes.count])
          .copyMemory(from: bytes)
      }
    }
  }

  deinit { memory.deallocate() }

  /// Makes the frame at `index` the add of this entry.
  func set(_ index: Int, ledgerID: Int64, entryID: Int64) {
    let frame = UnsafeMutableRawBufferPointer(rebasing: memory[index * frameBytes..<(index + 1) * frameBytes])
    let payload = Int64(frameBytes - Self.digestAt - 4)
    frame.storeBytes(of: ledgerID.bigEndian, toByteOffset: Self.entryAt, as: Int64.self)
    frame.storeBytes(of: entryID.bigEndian, toByteOffset: Self.entryAt + 8, as: Int64.self)
    frame.storeBytes(of: (entryID - 1).bigEndian, toByteOffset: Self.entryAt + 16, as: Int64.self)
    frame.storeBytes(of: ((entryID + 1) * payload).bigEndian, toByteOffset: Self.entryAt + 24, as: Int64.self)
    let head = CRC32C.checksum(UnsafeRawBufferPointer(rebasing: frame[Self.entryAt..<Self.digestAt]))
    let digest = CRC32C.checksum(UnsafeRawBufferPointer(rebasing: frame[(Self.digestAt + 4)...]), extending: head)
    frame.storeBytes(of: digest.bigEndian, toByteOffset: Self.digestAt, as: UInt32.self)
  }

  /// The first `count` frames.
  func bytes(_ count: Int) -> UnsafeRawBufferPointer {
    UnsafeRawBufferPointer(rebasing: memory[0..<count * frameBytes])
  }
}

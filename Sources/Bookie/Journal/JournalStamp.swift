import Checksums

/// The last eight bytes of each sector of a journal's records: which record wrote the sector, and a check of that which holds
/// only at this place of the file.
struct JournalStamp: Equatable {
  static let size = 8

  /// What a sector says of who wrote it.
  enum Sector: Equatable {
    /// This record.
    case written
    /// Another record, or nobody: as it was before.
    case former
    /// Neither: its bytes have changed since they were written.
    case damaged
  }

  private let generation: UInt32

  init(logID: UInt64, sequence: UInt64, isMarker: Bool) {
    let identity = (logID.bigEndian, sequence.bigEndian, UInt64(isMarker ? 1 : 0).bigEndian)
    generation = withUnsafeBytes(of: identity) { CRC32C.checksum($0) }
  }

  /// The stamp of the file's `sector`th sector, as it lies in memory.
  func bytes(sector: Int) -> UInt64 {
    (UInt64(generation) << 32 | UInt64(Self.check(generation, sector))).bigEndian
  }

  /// What the stamp of the sector at `offset`, a multiple of the sector's size, says. `bytes` are the whole file's, and must
  /// hold the sector.
  func state(_ bytes: UnsafeRawBufferPointer, at offset: Int) -> Sector {
    let stamp = bytes.bigEndian(at: offset + JournalFormat.sector - Self.size, as: UInt64.self)
    if stamp == 0 {
      let isZero = bytes[offset..<offset + JournalFormat.sector].allSatisfy { $0 == 0 }
      return isZero ? .former : .damaged
    }
    let writer = UInt32(truncatingIfNeeded: stamp >> 32)
    let check = Self.check(writer, offset / JournalFormat.sector)
    guard UInt32(truncatingIfNeeded: stamp) == check else { return .damaged }
    return writer == generation ? .written : .former
  }

  /// A different one for each generation, at each place.
  private static func check(_ generation: UInt32, _ sector: Int) -> UInt32 {
    (generation ^ UInt32(truncatingIfNeeded: sector) &* 0x85EB_CA6B) &* 0x9E37_79B1 ^ 0x4D4A_5354
  }
}

/// The bytes of a simulated file, and what a crash may make of them: of what was written since the last sync each sector is
/// kept or lost by itself.
final class SimulatedNode {
  static let sector = 512

  private(set) var bytes: [UInt8] = []
  private var durableCount = 0
  /// What sectors held that were written since the last sync.
  private var former: [Int: [UInt8]] = [:]

  var isDirty: Bool { !former.isEmpty || durableCount != bytes.count }

  private func remember(_ range: Range<Int>) {
    guard !range.isEmpty else { return }
    for sector in range.lowerBound / Self.sector...(range.upperBound - 1) / Self.sector where former[sector] == nil {
      let start = min(sector * Self.sector, bytes.count)
      former[sector] = Array(bytes[start..<min(start + Self.sector, bytes.count)])
    }
  }

  private func resize(_ count: Int) {
    if count < bytes.count {
      bytes.removeLast(bytes.count - count)
    } else if count > bytes.count {
      bytes.append(contentsOf: [UInt8](repeating: 0, count: count - bytes.count))
    }
  }

  private func put(_ source: UnsafeRawBufferPointer, at offset: Int) {
    guard !source.isEmpty else { return }
    if bytes.count < offset + source.count { resize(offset + source.count) }
    bytes.withUnsafeMutableBytes {
      UnsafeMutableRawBufferPointer(rebasing: $0[offset..<offset + source.count]).copyMemory(from: source)
    }
  }

  func write(_ source: UnsafeRawBufferPointer, at offset: Int) {
    remember(min(offset, bytes.count)..<offset + source.count)
    put(source, at: offset)
  }

  func truncate(to size: Int) {
    if size < bytes.count { remember(size..<bytes.count) }
    resize(size)
  }

  func read(into buffer: UnsafeMutableRawBufferPointer, at offset: Int) -> Int {
    guard offset < bytes.count else { return 0 }
    let count = min(buffer.count, bytes.count - offset)
    bytes.withUnsafeBytes { buffer.copyMemory(from: UnsafeRawBufferPointer(rebasing: $0[offset..<offset + count])) }
    return count
  }

  func sync() {
    former.removeAll(keepingCapacity: true)
    durableCount = bytes.count
  }

  /// Flips a bit for good.
  func flip(at offset: Int, bit: Int) {
    guard bytes.indices.contains(offset) else { return }
    bytes[offset] ^= 1 << UInt8(bit & 7)
  }

  func crash(_ chance: Chance, _ tally: Tally) {
    guard isDirty else { return }
    let size = chance.percent(50) ? bytes.count : durableCount
    var kept = 0
    var lost = 0
    for sector in former.keys.sorted() {
      guard chance.percent(50), let old = former[sector] else {
        kept += 1
        continue
      }
      lost += 1
      let start = sector * Self.sector
      let end = max(min(start + Self.sector, bytes.count), start + old.count)
      let whole = old + [UInt8](repeating: 0, count: max(0, end - start - old.count))
      whole.withUnsafeBytes { put($0, at: start) }
    }
    resize(size)
    tally.note("lost sectors", lost)
    if lost > 0, kept > 0 { tally.note("torn writes") }
    sync()
  }
}

import Foundation

/// Flips bits in the files of a bookie that does not run.
struct DiskDamage {
  let directory: String

  /// Flips one bit of one file of the given kind. - Returns: where, for people; nil if there is nothing to damage.
  func flip(_ fault: Fault, _ random: inout SeededRandom) -> String? {
    guard let file = files(fault).randomElement(using: &random) else { return nil }
    guard let handle = FileHandle(forUpdatingAtPath: file) else { return nil }
    defer { try? handle.close() }
    guard let size = try? handle.seekToEnd(), size > 0 else { return nil }
    // The last records of a journal are left alone: after a crash a torn end is to be expected, and nobody could tell the
    // one from the other.
    let end = fault == .flippedJournal ? usedBytes(handle, Int(size)) / 2 : Int(size)
    let begin = fault == .flippedJournal ? 4096 : 0
    guard end > begin + 4096 || (fault != .flippedJournal && end > 0) else { return nil }
    let offset = UInt64(begin + random.below(end - begin))
    guard (try? handle.seek(toOffset: offset)) != nil, let byte = try? handle.read(upToCount: 1)?.first else {
      return nil
    }
    guard (try? handle.seek(toOffset: offset)) != nil else { return nil }
    do { try handle.write(contentsOf: Data([byte ^ (1 << UInt8(random.below(8)))])) } catch { return nil }
    return "\(file) at \(offset)"
  }

  private func files(_ fault: Fault) -> [String] {
    switch fault {
    case .flippedJournal: names("journal") { $0.hasSuffix(".journal") }
    case .flippedEntryLog: names("ledgers") { $0.hasSuffix(".log") }
    default: names("ledgers/index") { $0.hasSuffix(".sst") || $0.hasSuffix(".log") }
    }
  }

  private func names(_ folder: String, _ isMeant: (String) -> Bool) -> [String] {
    let path = directory + "/" + folder
    let names = (try? FileManager.default.contentsOfDirectory(atPath: path)) ?? []
    return names.filter(isMeant).sorted().map { path + "/" + $0 }
  }

  /// Up to the last byte that is not zero: journals are longer than what they hold.
  private func usedBytes(_ handle: FileHandle, _ size: Int) -> Int {
    var end = size
    while end > 0 {
      let begin = max(0, end - 65_536)
      guard (try? handle.seek(toOffset: UInt64(begin))) != nil, let bytes = try? handle.read(upToCount: end - begin)
      else { return 0 }
      if let last = bytes.lastIndex(where: { $0 != 0 }) { return begin + (last - bytes.startIndex) + 1 }
      end = begin
    }
    return 0
  }
}

import NIOCore
import Testing

@testable import Bookie

#if canImport(Glibc)
  import Glibc
#elseif canImport(Darwin)
  import Darwin
#endif

@Suite("Verification: rounds that see everything, and go on where they were")
struct ScrubTests {
  private static let count = Int64(40)

  /// A storage whose entries are each in a run of their own.
  private static func filled(_ adjust: (inout BookieConfiguration) -> Void) throws -> StorageRig {
    let rig = try StorageRig(adjust)
    for ledger in 0..<count { #expect(rig.addNow(ledger, 1) == .ok) }
    rig.checkpoint()
    return rig
  }

  @Test("A round waits for a process that lacks files, with one attempt each ten seconds, and then sees all there is")
  func lackingFiles() throws {
    let rig = try Self.filled { _ in }
    let storage = try #require(rig.storage)
    var reads = 0
    rig.disk.readFault = { path in
      guard path.hasSuffix(".log") else { return nil }
      reads += 1
      return EMFILE
    }
    rig.scrub()
    #expect(reads > 0)
    let perAttempt = reads
    for _ in 0..<30 { rig.pass(.seconds(1)) }
    #expect(reads <= 4 * perAttempt)
    #expect(storage.statistics().scrubs == 0 && storage.statistics().scrubbedEntries == 0)
    rig.disk.readFault = nil
    rig.pass(.seconds(11))
    #expect(storage.statistics().scrubs == 1 && storage.statistics().scrubbedEntries == Self.count)
    #expect(storage.damage.count == 0)
  }

  @Test("A round waits for an index that cannot be read, and is not noted as done before it has seen all there is")
  func unreadableIndex() throws {
    let rig = try Self.filled { _ in }
    let storage = try #require(rig.storage)
    // It begins to fail behind the first runs.
    var hasBegun = false
    rig.disk.readFault = { path in
      if path.hasSuffix(".log") { hasBegun = true }
      return hasBegun && path == "index" ? EIO : nil
    }
    rig.scrub()
    for _ in 0..<3 { rig.pass(.seconds(10)) }
    #expect(storage.statistics().scrubs == 0)
    let seen = storage.statistics().scrubbedEntries
    #expect(seen > 0 && seen < Self.count)
    rig.disk.readFault = nil
    rig.pass(.seconds(10))
    #expect(storage.statistics().scrubs == 1 && storage.statistics().scrubbedEntries == Self.count)
  }

  @Test("A round goes on after a restart where it was noted last, and the next one is due an interval after its begin")
  func resumption() throws {
    let rig = try Self.filled {
      $0.scrubInterval = .seconds(3600)
      $0.scrubRateByBytes = 50
    }
    for _ in 0..<3600 + 120 { rig.pass(.seconds(1)) }
    let before = try #require(rig.storage?.statistics())
    #expect(before.scrubs == 0 && before.scrubbedEntries > 0 && before.scrubbedEntries < Self.count)
    try rig.open()
    for _ in 0..<600 { rig.pass(.seconds(1)) }
    let after = try #require(rig.storage?.statistics())
    #expect(after.scrubs == 1 && after.scrubbedEntries < Self.count)
    #expect(before.scrubbedEntries + after.scrubbedEntries >= Self.count)
    // The index has it as done: another start begins nothing.
    try rig.open()
    rig.pass(.seconds(60))
    #expect(rig.storage?.statistics().scrubbedEntries == 0)
    for _ in 0..<3600 { rig.pass(.seconds(1)) }
    #expect(rig.storage?.statistics().scrubs == 1)
  }

  @Test("A new bookie notes once since when it waits for its first round")
  func notes() throws {
    let rig = try Self.filled { $0.scrubInterval = .seconds(3600) }
    // What the journal and its marks have to say is said by then.
    rig.pass(.seconds(30))
    var notes = 0
    rig.disk.fault = { _, path in
      if path == "index" { notes += 1 }
      return nil
    }
    for _ in 0..<50 { rig.pass(.seconds(60)) }
    #expect(notes == 1)
    for _ in 0..<15 { rig.pass(.seconds(60)) }
    // The begin and the end of the round.
    #expect(notes == 3 && rig.storage?.statistics().scrubs == 1)
    for _ in 0..<30 { rig.pass(.seconds(60)) }
    #expect(notes == 3)
  }
}

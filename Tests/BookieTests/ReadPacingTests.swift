import NIOCore
import Testing

@testable import Bookie

@Suite("Reads beside adds")
struct ReadPacingTests {
  private static func time(_ microseconds: Int) -> NIODeadline { .uptimeNanoseconds(UInt64(microseconds) * 1000) }

  @Test("After each read the disk is left alone in proportion to what it took, within bounds")
  func share() {
    var pacing = ReadPacing(share: 0.25)
    #expect(pacing.next <= Self.time(0))
    pacing.finished(from: Self.time(1000), to: Self.time(1200))
    #expect(pacing.next == Self.time(1800))
    pacing.finished(from: Self.time(2000), to: Self.time(2_000_000))
    #expect(pacing.next == Self.time(2_020_000))
    var whole = ReadPacing(share: 1)
    whole.finished(from: Self.time(0), to: Self.time(500))
    #expect(whole.next == Self.time(500))
    var none = ReadPacing(share: 0)
    none.finished(from: Self.time(0), to: Self.time(10))
    #expect(none.next > Self.time(900) && none.next < Self.time(1100))
  }

  @Test("Only while entries are being added")
  func need() {
    let sync = Self.time(1_000_000)
    #expect(ReadPacing.isNeeded(lastSync: sync, now: Self.time(1_000_010)))
    #expect(ReadPacing.isNeeded(lastSync: sync, now: Self.time(1_049_000)))
    #expect(!ReadPacing.isNeeded(lastSync: sync, now: Self.time(1_050_000)))
    #expect(!ReadPacing.isNeeded(lastSync: .uptimeNanoseconds(0), now: Self.time(1_050_000)))
  }
}

import NIOCore
import Testing

@testable import Bookie

@Suite("Journal: when to write")
struct JournalBatcherTests {
  static let start = NIODeadline.uptimeNanoseconds(1_000_000_000)

  static func batcher(flushWhenIdle: Bool = true) -> JournalBatcher {
    JournalBatcher(
      JournalBatcher.Limits(maxWait: .milliseconds(2), maxBytes: 1000, flushWhenIdle: flushWhenIdle, busyEntries: 10))
  }

  @Test("Nothing queued: wait; something queued on an idle journal: write at once")
  func idle() {
    var batcher = Self.batcher()
    #expect(batcher.next(now: Self.start) == .wait)
    batcher.enqueued(bytes: 10, entries: 1, now: Self.start)
    #expect(batcher.next(now: Self.start) == .write(count: 1))
  }

  @Test("Everything that arrived during a sync goes into the next one")
  func groups() {
    var batcher = Self.batcher()
    batcher.enqueued(bytes: 10, entries: 1, now: Self.start)
    batcher.began(count: 1, now: Self.start)
    for _ in 0..<5 { batcher.enqueued(bytes: 10, entries: 1, now: Self.start) }
    #expect(batcher.next(now: Self.start) == .write(count: 5))
  }

  @Test("After a large group the next one is collected, but never longer than the maximum wait")
  func busy() {
    var batcher = Self.batcher()
    batcher.enqueued(bytes: 10, entries: 20, now: Self.start)
    batcher.began(count: 1, now: Self.start)
    batcher.enqueued(bytes: 10, entries: 1, now: Self.start + .microseconds(100))
    #expect(batcher.next(now: Self.start + .microseconds(100)) == .waitUntil(Self.start + .milliseconds(2)))
    #expect(batcher.next(now: Self.start + .milliseconds(2)) == .write(count: 1))
    batcher.began(count: 1, now: Self.start + .milliseconds(2))
    batcher.enqueued(bytes: 10, entries: 1, now: Self.start + .milliseconds(2))
    #expect(batcher.next(now: Self.start + .milliseconds(2)) == .write(count: 1))
  }

  @Test("Without flush-when-idle the oldest waits for the maximum wait")
  func waits() {
    var batcher = Self.batcher(flushWhenIdle: false)
    batcher.enqueued(bytes: 10, entries: 1, now: Self.start)
    batcher.enqueued(bytes: 10, entries: 1, now: Self.start + .milliseconds(1))
    #expect(batcher.next(now: Self.start + .milliseconds(1)) == .waitUntil(Self.start + .milliseconds(2)))
    #expect(batcher.next(now: Self.start + .milliseconds(2)) == .write(count: 2))
  }

  @Test("A group ends at the maximum of bytes, and one append of any size is a group")
  func bytes() {
    var batcher = Self.batcher(flushWhenIdle: false)
    batcher.enqueued(bytes: 600, entries: 1, now: Self.start)
    batcher.enqueued(bytes: 600, entries: 1, now: Self.start)
    #expect(batcher.next(now: Self.start) == .write(count: 1))
    batcher.began(count: 1, now: Self.start)
    #expect(batcher.count == 1)
    batcher.began(count: 1, now: Self.start)
    batcher.enqueued(bytes: 5000, entries: 1, now: Self.start)
    #expect(batcher.next(now: Self.start) == .write(count: 1))
  }
}

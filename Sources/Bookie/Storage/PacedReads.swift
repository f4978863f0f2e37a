import NIOConcurrencyHelpers
import NIOCore

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// Lets reads of old entries take turns as ``ReadPacing`` says. For threads that may block.
final class PacedReads: Sendable {
  /// Held while the one read beside adds is waiting for its time, and while it reads.
  private let turn: NIOLockedValueBox<ReadPacing>
  private let share: Double

  init(share: Double) {
    self.share = share
    turn = NIOLockedValueBox(ReadPacing(share: share))
  }

  /// Whether reads have to take turns now.
  func isNeeded(lastSync: NIODeadline) -> Bool { share < 1 && ReadPacing.isNeeded(lastSync: lastSync, now: .now()) }

  /// Calls `body` when it may read from the disk.
  func perform<R>(_ body: () throws(BookieError) -> R) throws(BookieError) -> R {
    var result: Result<R, BookieError>?
    turn.withLockedValue { pacing in
      let wait = (pacing.next - .now()).nanoseconds
      if wait > 0 {
        var time = timespec(tv_sec: 0, tv_nsec: Int(min(wait, 999_999_999)))
        nanosleep(&time, nil)
      }
      let start = NIODeadline.now()
      do throws(BookieError) {
        result = .success(try body())
      } catch {
        result = .failure(error)
      }
      pacing.finished(from: start, to: .now())
    }
    guard let result else { throw .configuration("A read did not take place.") }
    return try result.get()
  }
}

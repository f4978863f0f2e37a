import NIOCore

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// Everything by which the storage touches the world: disks, clocks, chance and threads. What decides lies in values that
/// know none of these; what carries decisions out gets them from here, so that the real storage runs under a simulator.
package struct StorageEnvironment: Sendable {
  /// The disks.
  package var files: any StorageFiles
  /// The time that only goes forward.
  package var now: @Sendable () -> NIODeadline
  /// The time of day, in milliseconds since 1970. Decides nothing but when a deleted ledger may be
  /// forgotten, and when everything is verified again after a restart.
  package var wallClock: @Sendable () -> Int64
  /// A random number, never 0.
  package var random: @Sendable () -> UInt64
  /// Whether the storage works on threads of its own. If not, nothing happens until `BookieStorage.step` is called.
  package var hasThreads: Bool

  /// An environment made of the given parts.
  package init(
    files: any StorageFiles, now: @escaping @Sendable () -> NIODeadline, wallClock: @escaping @Sendable () -> Int64,
    random: @escaping @Sendable () -> UInt64, hasThreads: Bool
  ) {
    self.files = files
    self.now = now
    self.wallClock = wallClock
    self.random = random
    self.hasThreads = hasThreads
  }

  /// This machine.
  package static let real = StorageEnvironment(
    files: PosixFiles(), now: { .now() },
    wallClock: {
      var time = timespec()
      clock_gettime(CLOCK_REALTIME, &time)
      return Int64(time.tv_sec) * 1000 + Int64(time.tv_nsec) / 1_000_000
    }, random: { UInt64.random(in: 1...UInt64.max) }, hasThreads: true)
}

#if canImport(Glibc)
  import Glibc
#else
  import Darwin
#endif

/// The wall clock, for what is stored or shown; intervals are measured with the loops' monotonic time.
enum WallClock {
  /// Milliseconds since 1970.
  static func nowMs() -> Int64 {
    var time = timespec()
    clock_gettime(CLOCK_REALTIME, &time)
    return Int64(time.tv_sec) * 1000 + Int64(time.tv_nsec) / 1_000_000
  }
}

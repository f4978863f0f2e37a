#if canImport(Glibc)
  import Glibc
#endif

/// The processor time that `body` takes on this thread, which other load on the machine does not change.
public func threadCPUTime(_ body: () throws -> Void) rethrows -> Duration {
  let start = threadClock()
  try body()
  return threadClock() - start
}

private func threadClock() -> Duration {
  var now = timespec()
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now)
  return .seconds(now.tv_sec) + .nanoseconds(now.tv_nsec)
}

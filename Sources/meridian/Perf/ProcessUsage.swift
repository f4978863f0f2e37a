import Foundation

/// CPU time and memory of a process, from /proc.
struct ProcessUsage {
  struct Report: Encodable {
    var name: String
    var pid: Int32
    /// CPU seconds over the measured time.
    var cpuSeconds: Double
    /// CPU seconds for each second of time.
    var cpuCores: Double
    /// The largest resident set since the process began, in megabytes.
    var peakMegabytes: Double
  }

  let name: String
  let pid: Int32
  private let start: Double
  private let startedAt = ContinuousClock.now

  /// Begins to count; `nil` if the process cannot be seen.
  init?(name: String, pid: Int32) {
    guard let seconds = Self.cpuSeconds(pid) else { return nil }
    self.name = name
    self.pid = pid
    start = seconds
  }

  /// What was used since the beginning; `nil` if the process is gone.
  func report() -> Report? {
    guard let seconds = Self.cpuSeconds(pid) else { return nil }
    let elapsed = (ContinuousClock.now - startedAt).inSeconds
    return Report(
      name: name, pid: pid, cpuSeconds: seconds - start, cpuCores: elapsed > 0 ? (seconds - start) / elapsed : 0,
      peakMegabytes: Self.peakKilobytes(pid).map { $0 * 1024 / 1e6 } ?? 0)
  }

  private static func cpuSeconds(_ pid: Int32) -> Double? {
    guard let text = try? String(contentsOfFile: "/proc/\(pid)/stat", encoding: .utf8),
      // The name in parentheses may hold anything; the fields are counted behind it.
      let end = text.lastIndex(of: ")")
    else { return nil }
    let fields = text[text.index(after: end)...].split(separator: " ")
    guard fields.count > 12, let user = Double(fields[11]), let system = Double(fields[12]) else { return nil }
    return (user + system) / Double(sysconf(Int32(_SC_CLK_TCK)))
  }

  /// What this process has in memory now.
  static func residentBytes() -> Double? { kilobytes(getpid(), "VmRSS:").map { $0 * 1024 } }

  private static func peakKilobytes(_ pid: Int32) -> Double? { kilobytes(pid, "VmHWM:") }

  private static func kilobytes(_ pid: Int32, _ name: String) -> Double? {
    guard let text = try? String(contentsOfFile: "/proc/\(pid)/status", encoding: .utf8) else { return nil }
    for line in text.split(separator: "\n") where line.hasPrefix(name) {
      return line.split(whereSeparator: { $0 == " " || $0 == "\t" }).dropFirst().first.flatMap { Double($0) }
    }
    return nil
  }
}

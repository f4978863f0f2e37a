import NIOCore

/// Durations and rates as people write them: `75ms`, `1s`, `1gbit`, `40MB`.
public enum Quantity {
  /// Parses a duration: a number and one of `us`, `ms`, `s`, `m`, `h`; a bare number is milliseconds.
  public static func duration(_ text: String) -> TimeAmount? {
    guard let (number, unit) = split(text) else { return nil }
    let nanoseconds: Double
    switch unit {
    case "us": nanoseconds = 1e3
    case "ms", "": nanoseconds = 1e6
    case "s": nanoseconds = 1e9
    case "m", "min": nanoseconds = 60e9
    case "h": nanoseconds = 3600e9
    default: return nil
    }
    let value = number * nanoseconds
    guard value.isFinite, value >= 0, value < 9e18 else { return nil }
    return .nanoseconds(Int64(value))
  }

  /// Parses a rate into bytes a second: `kbit`, `mbit`, `gbit` are powers of 1000 bits; `KB`, `MB`, `GB` of 1000 bytes;
  /// a bare number is bytes.
  public static func rate(_ text: String) -> Int64? {
    var text = text
    for suffix in ["/s", "ps"] where text.hasSuffix(suffix) { text.removeLast(suffix.count) }
    guard let (number, unit) = split(text) else { return nil }
    let factor: Double
    switch unit.lowercased() {
    case "", "b": factor = 1
    case "kb": factor = 1e3
    case "mb": factor = 1e6
    case "gb": factor = 1e9
    case "bit": factor = 1.0 / 8
    case "kbit": factor = 1e3 / 8
    case "mbit": factor = 1e6 / 8
    case "gbit": factor = 1e9 / 8
    default: return nil
    }
    let value = number * factor
    guard value.isFinite, value >= 1, value < 9e18 else { return nil }
    return Int64(value)
  }

  /// Parses a size in bytes: `K`, `M`, `G` (with or without `B`, `iB`) are powers of 1024.
  public static func size(_ text: String) -> Int64? {
    guard let (number, unit) = split(text) else { return nil }
    let factor: Double
    switch unit.lowercased() {
    case "", "b": factor = 1
    case "k", "kb", "kib": factor = 1024
    case "m", "mb", "mib": factor = 1_048_576
    case "g", "gb", "gib": factor = 1_073_741_824
    default: return nil
    }
    let value = number * factor
    guard value.isFinite, value >= 0, value < 9e18 else { return nil }
    return Int64(value)
  }

  private static func split(_ text: String) -> (Double, String)? {
    let digits = text.prefix { $0.isASCII && ($0.isNumber || $0 == ".") }
    guard let number = Double(digits) else { return nil }
    let unit = text.dropFirst(digits.count).drop { $0 == " " }
    return (number, String(unit))
  }
}

/// Figures as people read them: three significant digits, a unit.
public enum Humanize {
  /// `0.21s`, `41s`, `6m10s`, `3h05m`, `2d04h`.
  public static func seconds(_ seconds: Double) -> String {
    guard seconds.isFinite, seconds >= 0 else { return "?" }
    if seconds < 10 { return fixed(seconds, digits: 2) + "s" }
    if seconds < 60 { return fixed(seconds, digits: 1) + "s" }
    let whole = Int(min(seconds, 1e15).rounded())
    if whole < 3600 { return "\(whole / 60)m\(padded(whole % 60))s" }
    if whole < 86_400 { return "\(whole / 3600)h\(padded(whole % 3600 / 60))m" }
    return "\(whole / 86_400)d\(padded(whole % 86_400 / 3600))h"
  }

  /// `999`, `1.21K`, `41.2M`: powers of 1000.
  public static func count(_ count: UInt64) -> String {
    scaled(Double(count), base: 1000, units: ["", "K", "M", "G", "T", "P"])
  }

  /// `512B`, `1.90K`, `64.0M`: powers of 1024.
  public static func bytes(_ bytes: Double) -> String {
    scaled(bytes, base: 1024, units: ["B", "K", "M", "G", "T", "P"])
  }

  /// Megabytes (10⁶) a second: `0.0`, `62.1`.
  public static func megabytes(_ bytesPerSecond: Double) -> String {
    fixed(bytesPerSecond / 1e6, digits: abs(bytesPerSecond) >= 1e8 ? 0 : 1)
  }

  /// A number with so many digits after the point.
  public static func fixed(_ value: Double, digits: Int) -> String {
    guard value.isFinite, abs(value) < 1e15 else { return "?" }
    var factor = 1.0
    for _ in 0..<digits { factor *= 10 }
    let scaled = (abs(value) * factor).rounded()
    let whole = Int64(scaled) / Int64(factor)
    let part = Int64(scaled) % Int64(factor)
    let sign = value < 0 && scaled > 0 ? "-" : ""
    guard digits > 0 else { return sign + String(whole) }
    let digitsText = String(part)
    return sign + "\(whole)." + String(repeating: "0", count: digits - digitsText.count) + digitsText
  }

  private static func scaled(_ value: Double, base: Double, units: [String]) -> String {
    guard value.isFinite, value >= 0 else { return "?" }
    var value = value
    var unit = 0
    while value >= base, unit < units.count - 1 {
      value /= base
      unit += 1
    }
    if unit == 0 { return fixed(value, digits: 0) + units[0] }
    return fixed(value, digits: value < 10 ? 2 : value < 100 ? 1 : 0) + units[unit]
  }

  private static func padded(_ value: Int) -> String {
    value < 10 ? "0\(value)" : String(value)
  }
}

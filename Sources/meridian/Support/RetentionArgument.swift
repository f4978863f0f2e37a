import ArgumentParser

/// Limits of time and size as pulsar-admin takes them: a number with or without a unit, or -1 for no limit.
enum RetentionArgument {
  /// Minutes; a number without a unit is minutes.
  static func minutes(_ text: String) throws -> Int64 {
    if let bare = Int64(text), bare >= -1 { return bare }
    guard let time = RelativeTime(argument: text) else {
      throw ValidationError("`\(text)` must be minutes, a time such as 100m, 3h, 2d or 5w, or -1")
    }
    return time.seconds / 60
  }

  /// Seconds; a number without a unit is seconds.
  static func seconds(_ text: String) throws -> Int64 {
    if text == "-1" { return -1 }
    guard let time = RelativeTime(argument: text) else {
      throw ValidationError("`\(text)` must be seconds, a time such as 100m, 3h, 2d or 5w, or -1")
    }
    return time.seconds
  }

  /// MiB; a number without a unit is MiB.
  static func mebibytes(_ text: String) throws -> Int64 {
    if let bare = Int64(text), bare >= -1 { return bare }
    return try bytes(text) >> 20
  }

  /// Bytes; a number without a unit is bytes.
  static func bytes(_ text: String) throws -> Int64 {
    if let bare = Int64(text), bare >= -1 { return bare }
    let shifts = ["k": 10, "m": 20, "g": 30, "t": 40]
    guard let unit = text.last, let shift = shifts[unit.lowercased()], let count = Int64(text.dropLast()), count >= 0,
      count <= Int64.max >> shift
    else { throw ValidationError("`\(text)` must be a size such as 4096, 10M, 16G or 3T, or -1") }
    return count << shift
  }
}

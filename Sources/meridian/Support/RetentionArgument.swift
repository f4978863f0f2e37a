import ArgumentParser

/// Limits of time and size as pulsar-admin takes them: a number with or without a unit, or -1 for no limit.
enum RetentionArgument {
  /// Whole minutes; a number without a unit is seconds.
  static func minutes(_ text: String) throws -> Int64 {
    let seconds = try seconds(text)
    // It would become 0, which keeps nothing.
    guard seconds <= 0 || seconds >= 60 else {
      throw ValidationError("`\(text)` is less than a minute, and retention counts in minutes; write 1m, or 0 for none")
    }
    return seconds <= 0 ? seconds : seconds / 60
  }

  /// Seconds; a number without a unit is seconds.
  static func seconds(_ text: String) throws -> Int64 {
    if text == "-1" { return -1 }
    guard let time = RelativeTime(argument: text) else {
      throw ValidationError("`\(text)` must be seconds, a time such as 100m, 3h, 2d or 5w, or -1")
    }
    return time.seconds
  }

  /// Whole MiB; a number without a unit is bytes.
  static func mebibytes(_ text: String) throws -> Int64 {
    let bytes = try bytes(text)
    guard bytes <= 0 || bytes >= 1 << 20 else {
      throw ValidationError("`\(text)` is less than a MiB, and retention counts in MiB; write 1M, or 0 for none")
    }
    return bytes <= 0 ? bytes : bytes >> 20
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

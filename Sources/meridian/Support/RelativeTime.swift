import ArgumentParser

/// A span of time as pulsar-admin takes it: `30`, `30s`, `10m`, `3h`, `2d`, `5w`, `1y`; a bare number is seconds.
struct RelativeTime: ExpressibleByArgument {
  let seconds: Int64

  init?(argument: String) {
    var digits = argument
    var unit: Int64 = 1
    if let last = argument.last, !last.isNumber {
      let units: [String: Int64] = ["s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800, "y": 31_536_000]
      guard let known = units[last.lowercased()] else { return nil }
      unit = known
      digits.removeLast()
    }
    guard let count = Int64(digits), count >= 0 else { return nil }
    let product = count.multipliedReportingOverflow(by: unit)
    // Beyond this it is no time that a message can have.
    guard !product.overflow, product.partialValue <= 1 << 40 else { return nil }
    seconds = product.partialValue
  }
}

/// All that is random in one simulation: the same numbers for the same seed.
final class Chance: RandomNumberGenerator {
  private var state: UInt64

  init(_ seed: UInt64) { state = seed &* 0xD6E8_FEB8_6659_FD93 &+ 0x9E37_79B9_7F4A_7C15 }

  func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var z = state
    z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
    z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
    return z ^ (z >> 31)
  }

  /// A number of the range.
  func number(_ range: ClosedRange<Int>) -> Int {
    let (low, high) = (range.lowerBound, range.upperBound)
    return low + Int(next() % UInt64(high - low + 1))
  }

  /// True so many times of a thousand.
  func permille(_ share: Int) -> Bool { next() % 1000 < UInt64(max(0, share)) }

  func percent(_ share: Int) -> Bool { permille(share * 10) }

  func pick<E>(_ list: [E]) -> E { list[number(0...list.count - 1)] }

  /// So many of the list, in any order; fewer if it has fewer.
  func pick<E>(_ count: Int, of list: [E]) -> [E] {
    var rest = list
    var picked: [E] = []
    while picked.count < count, !rest.isEmpty { picked.append(rest.remove(at: number(0...rest.count - 1))) }
    return picked
  }
}

/// Counts of what happened, above all of the faults that were injected.
final class Tally {
  private(set) var counts: [String: Int] = [:]

  func note(_ what: String, _ count: Int = 1) { counts[what, default: 0] += count }
}

/// A rule was broken.
struct Violation: Error, CustomStringConvertible {
  var description: String

  init(_ description: String) { self.description = description }
}

/// Carries what one thread alone touches through places that ask for what all threads may touch.
struct OneThread<Value>: @unchecked Sendable {
  let value: Value

  init(_ value: Value) { self.value = value }
}

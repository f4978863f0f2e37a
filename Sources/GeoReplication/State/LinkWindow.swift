import NIOCore

/// How many bytes a stream may have under way, so that throughput does not depend on the round trip.
///
/// The window is twice the bandwidth-delay product, from the best delivery rate and the shortest round trip seen of
/// late, within fixed bounds. While the path is not full, the rate that is measured is the window divided by the round
/// trip, so the window doubles with every round trip until the path or the receiver becomes the limit.
public struct LinkWindow: Sendable {
  /// Smallest and largest window, in bytes.
  public struct Bounds: Sendable, Equatable {
    /// The window before anything was measured.
    public var minimum: Int
    /// The memory that one stream may hold on to.
    public var maximum: Int

    /// Bounds in bytes; the larger of the two is the maximum.
    public init(minimum: Int, maximum: Int) {
      self.minimum = max(1, min(minimum, maximum))
      self.maximum = max(minimum, maximum, 1)
    }
  }

  /// Time over which the best delivery rate counts.
  static let rateMemory = TimeAmount.seconds(10)
  /// Time over which the shortest round trip counts.
  static let roundTripMemory = TimeAmount.seconds(60)

  private let bounds: Bounds
  private var delivered: Int = 0
  private var rate = WindowedExtreme<Double>(memory: rateMemory, isBetter: { $0 > $1 })
  private var roundTrip = WindowedExtreme<Int64>(memory: roundTripMemory, isBetter: { $0 < $1 })

  /// A window for which nothing was measured.
  public init(bounds: Bounds) {
    self.bounds = bounds
  }

  /// Total of the bytes that were acknowledged; a sender notes it with every entry that it sends.
  public var deliveredBytes: Int { delivered }

  /// Bytes that may be under way now.
  public var size: Int {
    guard let rate = rate.value, let roundTrip = roundTrip.value else { return bounds.minimum }
    let product = rate * Double(roundTrip) / 1e9
    guard product.isFinite else { return bounds.minimum }
    return Int(min(max(2 * product, Double(bounds.minimum)), Double(bounds.maximum)))
  }

  /// The shortest round trip of late, from sending an entry to the word that it is stored.
  public var minimumRoundTrip: TimeAmount? { roundTrip.value.map { .nanoseconds($0) } }

  /// Takes note of an acknowledgement.
  ///
  /// - Parameters:
  ///   - bytes: how much was acknowledged.
  ///   - sentAt: when the newest of the acknowledged entries was sent.
  ///   - deliveredWhenSent: ``deliveredBytes`` at that time.
  ///   - now: the time of the acknowledgement.
  public mutating func acknowledged(bytes: Int, sentAt: NIODeadline, deliveredWhenSent: Int, now: NIODeadline) {
    delivered += bytes
    let elapsed = (now - sentAt).nanoseconds
    guard elapsed > 0 else { return }
    roundTrip.add(elapsed, now: now)
    rate.add(Double(delivered - deliveredWhenSent) * 1e9 / Double(elapsed), now: now)
  }
}

/// The best of the samples of a sliding time, kept as the few samples that can still become the best.
struct WindowedExtreme<Value: Comparable & Sendable>: Sendable {
  private let memory: TimeAmount
  private let isBetter: @Sendable (Value, Value) -> Bool
  private var samples: [(value: Value, at: NIODeadline)] = []

  init(memory: TimeAmount, isBetter: @escaping @Sendable (Value, Value) -> Bool) {
    self.memory = memory
    self.isBetter = isBetter
  }

  var value: Value? { samples.first?.value }

  mutating func add(_ value: Value, now: NIODeadline) {
    while let last = samples.last, !isBetter(last.value, value) { samples.removeLast() }
    samples.append((value, now))
    while let first = samples.first, samples.count > 1, now - first.at > memory { samples.removeFirst() }
    // Samples that come fast and get ever worse would pile up; the memory needs no finer grain than this.
    if samples.count > 64 { samples.removeSubrange(1..<2) }
  }
}

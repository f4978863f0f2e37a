/// Whether a connection is read. Several things may forbid it at once, each for its own reason; it is read again when
/// none is left.
///
/// A read that the channel asked for while the gate was shut is owed, and is made up for when it opens.
struct ReadGate: Hashable, Sendable {
  /// What forbids reading.
  struct Reasons: OptionSet, Hashable, Sendable {
    let rawValue: UInt8

    /// The other end does not take what it is sent: what it asks for would only pile up.
    static let unwritable = Reasons(rawValue: 1 << 0)
    /// Too much of what the connection published is on its way.
    static let publishes = Reasons(rawValue: 1 << 1)
    /// Too much of what all connections published is on its way.
    static let publishBuffer = Reasons(rawValue: 1 << 2)
    /// Too many of the connection's requests are being worked on.
    static let requests = Reasons(rawValue: 1 << 3)
    /// A topic has taken all that its publish rate allows for now.
    static let topicRate = Reasons(rawValue: 1 << 4)
    /// The broker has taken all that its publish rate allows for now.
    static let brokerRate = Reasons(rawValue: 1 << 5)
    /// Topics have not done yet what the connection asked of them.
    static let topics = Reasons(rawValue: 1 << 6)
  }

  private(set) var reasons: Reasons = []
  private var isReadOwed = false

  var isOpen: Bool { reasons.isEmpty }

  mutating func shut(_ reason: Reasons) { reasons.insert(reason) }

  mutating func open(_ reason: Reasons) { reasons.remove(reason) }

  /// Whether the gate is open and a read is owed; it is to be made now, and is owed no longer.
  mutating func takeOwedRead() -> Bool {
    guard isOpen, isReadOwed else { return false }
    isReadOwed = false
    return true
  }

  /// The channel wants to read.
  /// - Returns: whether it may; if not, the read is owed.
  mutating func read() -> Bool {
    if !isOpen { isReadOwed = true }
    return isOpen
  }
}

import BookieWire
import NIOCore

/// Whether a bookie knows batch reads (operation 7, BP-62), which came late to BookKeeper. A value.
///
/// A bookie that does not know them refuses the request or, as BookKeeper does, hangs up. Once one has been answered, a
/// connection that breaks says nothing about them.
struct BatchReadSupport: Equatable {
  private enum State { case unknown, known, missing }

  private var state = State.unknown

  /// Whether batch reads may be sent.
  var mayBeUsed: Bool { state != .missing }

  /// A batch read was answered. Returns whether the answer means that there are no batch reads, so that its entries have
  /// to be read one by one.
  mutating func answered(_ code: BookieReturnCode) -> Bool {
    let isRefusal = code == .badRequest || code == .badVersion
    switch state {
    case .unknown: state = isRefusal ? .missing : .known
    case .known: break
    case .missing: return isRefusal
    }
    return state == .missing
  }

  /// A bookie that has not said what it is hung up while a batch read was on its way. Returns as `answered` does.
  mutating func hungUp() -> Bool {
    guard state == .unknown else { return false }
    state = .missing
    return true
  }
}

/// Entries read one by one in place of a batch: the leading ones that were found. Confined to a loop.
final class GatheredReads {
  /// Entries asked for at once, at most: nobody knows how large they are.
  private static let maximumCount = 16

  let count: Int
  private let completion: (BookieReturnCode?, [ByteBuffer]) -> Void
  private var answers: [(code: BookieReturnCode?, bytes: ByteBuffer?)?]
  private var outstanding: Int

  init(_ wanted: BookieRequestTable.BatchRead) {
    count = max(1, min(wanted.count, Self.maximumCount, wanted.maxBytes / (32 << 10)))
    completion = wanted.completion
    answers = Array(repeating: nil, count: count)
    outstanding = count
  }

  func answered(_ index: Int, _ code: BookieReturnCode?, _ bytes: ByteBuffer?) {
    guard answers.indices.contains(index), answers[index] == nil else { return }
    answers[index] = (code, bytes)
    outstanding -= 1
    guard outstanding == 0 else { return }
    let found = answers.prefix { $0?.code == .ok && $0?.bytes != nil }.compactMap { $0?.bytes }
    completion(answers.first??.code, found)
  }
}

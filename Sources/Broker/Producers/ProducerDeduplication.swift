import NIOCore

/// Remembers the last sequence id of every producer of a topic, so that a message which its producer sends again after
/// a lost receipt is stored once.
///
/// Two marks per producer: what was *pushed* towards storage and what is *persisted*. A message at or below the second
/// is a duplicate; one between the two was sent before and its fate is open, so that neither storing nor confirming it
/// would be right. The chunks of a large message share a sequence id and are told apart by their number.
///
/// Events in, verdicts out: no clock, no I/O. The order of calls is the order of the log.
struct ProducerDeduplication: Sendable {
  /// The ids of one message, or of one batch, or of one chunk.
  struct Sequence: Hashable, Sendable {
    /// Of the first message.
    var first: Int64
    /// Of the last message; the same as `first` for a single one.
    var last: Int64
    /// The chunk's number and the number of chunks; nil for a message in one piece.
    var chunk: (index: Int32, count: Int32)?

    init(_ first: Int64, through last: Int64? = nil, chunk: (index: Int32, count: Int32)? = nil) {
      self.first = first
      self.last = max(first, last ?? first)
      self.chunk = chunk
    }

    static func == (a: Sequence, b: Sequence) -> Bool {
      a.first == b.first && a.last == b.last && a.chunk?.index == b.chunk?.index && a.chunk?.count == b.chunk?.count
    }

    func hash(into hasher: inout Hasher) {
      hasher.combine(first)
      hasher.combine(last)
      hasher.combine(chunk?.index)
    }

    fileprivate var partial: (index: Int32, isLast: Bool)? {
      chunk.map { ($0.index, $0.index >= $0.count - 1) }
    }
  }

  enum Verdict: Hashable, Sendable {
    /// New: store it; its mark has been moved.
    case store
    /// Stored before: confirm it without storing.
    case duplicate
    /// Sent before and neither confirmed nor failed yet: the producer must ask again later.
    case undetermined
  }

  private struct Mark: Hashable, Sendable {
    var sequence: Int64 = -1
    /// The message whose chunks are arriving, and its last chunk seen.
    var chunkedSequence: Int64 = -1
    var chunk: Int32 = -1

    func covers(_ s: Sequence) -> Bool {
      if s.first <= sequence { return true }
      guard let partial = s.partial else { return false }
      return chunkedSequence == s.first && partial.index <= chunk
    }

    mutating func advance(_ s: Sequence) {
      if let partial = s.partial, !partial.isLast {
        chunkedSequence = s.first
        chunk = partial.index
      } else {
        sequence = max(sequence, s.last)
        chunkedSequence = -1
        chunk = -1
      }
    }
  }

  private struct Producer: Sendable {
    var pushed = Mark()
    var persisted = Mark()
    /// When it last stored something, in the order of the log: what decides who is forgotten.
    var lastUse: Int64 = 0
  }

  /// The most producers remembered; the ones that have been silent longest are forgotten first.
  let maximumProducers: Int
  private var producers: [String: Producer] = [:]
  private var uses: Int64 = 0

  init(maximumProducers: Int) {
    self.maximumProducers = max(1, maximumProducers)
  }

  /// Producers remembered.
  var count: Int { producers.count }

  /// The last sequence id that is certainly stored; -1 for a producer never seen.
  func lastPersisted(_ producer: String) -> Int64 { producers[producer]?.persisted.sequence ?? -1 }

  /// Judges a message before it is stored.
  mutating func push(_ producer: String, _ sequence: Sequence) -> Verdict {
    let known = producers[producer]
    if let known, known.pushed.covers(sequence) {
      return known.persisted.covers(sequence) ? .duplicate : .undetermined
    }
    producers[producer, default: Producer()].pushed.advance(sequence)
    return .store
  }

  /// The message is stored.
  mutating func persist(_ producer: String, _ sequence: Sequence) {
    uses += 1
    producers[producer, default: Producer()].persisted.advance(sequence)
    producers[producer]?.lastUse = uses
    dropExcess()
  }

  /// An entry found in the log after a restart, in log order.
  mutating func replay(_ producer: String, _ sequence: Sequence) {
    if producers[producer]?.persisted.covers(sequence) == true { return }
    producers[producer, default: Producer()].pushed.advance(sequence)
    persist(producer, sequence)
  }

  /// Nothing is in flight any more and something failed: what is not stored has not been sent.
  mutating func forgetUnpersisted() {
    for name in producers.keys {
      guard let producer = producers[name] else { continue }
      if producer.lastUse == 0 {
        producers[name] = nil
      } else {
        producers[name]?.pushed = producer.persisted
      }
    }
    dropExcess()
  }

  private mutating func dropExcess() {
    guard producers.count > maximumProducers else { return }
    // An eighth at once, so that a flood of names costs a sort only now and then.
    let surplus = producers.count - maximumProducers + maximumProducers / 8
    let idle = producers.filter { $0.value.pushed == $0.value.persisted }
      .sorted { $0.value.lastUse < $1.value.lastUse }
    for (name, _) in idle.prefix(surplus) { producers[name] = nil }
  }

  // MARK: Snapshot

  /// Appends what is persisted to `buffer`, in the order of last use.
  func encode(into buffer: inout ByteBuffer) {
    let stored = producers.filter { $0.value.lastUse > 0 }.sorted { $0.value.lastUse < $1.value.lastUse }
    buffer.writeInteger(UInt32(stored.count))
    for (name, producer) in stored {
      let bytes = name.utf8.prefix(Int(UInt16.max))
      buffer.writeInteger(UInt16(bytes.count))
      buffer.writeBytes(bytes)
      buffer.writeInteger(producer.persisted.sequence)
      buffer.writeInteger(producer.persisted.chunkedSequence)
      buffer.writeInteger(producer.persisted.chunk)
    }
  }

  /// Reads what ``encode(into:)`` wrote; nil if it is damaged.
  init?(maximumProducers: Int, decoding buffer: inout ByteBuffer) {
    self.init(maximumProducers: maximumProducers)
    guard let count = buffer.readInteger(as: UInt32.self) else { return nil }
    for _ in 0..<count {
      guard let length = buffer.readInteger(as: UInt16.self), let name = buffer.readString(length: Int(length)),
        let sequence = buffer.readInteger(as: Int64.self), let chunked = buffer.readInteger(as: Int64.self),
        let chunk = buffer.readInteger(as: Int32.self)
      else { return nil }
      uses += 1
      let mark = Mark(sequence: sequence, chunkedSequence: chunked, chunk: chunk)
      producers[name] = Producer(pushed: mark, persisted: mark, lastUse: uses)
    }
    dropExcess()
  }
}

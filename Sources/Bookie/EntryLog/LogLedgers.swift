/// Bytes of each ledger that are alive in one entry log: sorted pairs, since there may be millions of them over all logs.
struct LogLedgers: Equatable, Sendable, ExpressibleByDictionaryLiteral {
  private struct Pair: Equatable {
    var ledgerID: Int64
    var bytes: Int64
  }

  private var pairs: [Pair] = []
  /// Bytes of all ledgers.
  private(set) var totalBytes: Int64 = 0

  init() {}

  init(_ ledgers: [Int64: Int64]) {
    pairs = ledgers.map { Pair(ledgerID: $0.key, bytes: $0.value) }.sorted { $0.ledgerID < $1.ledgerID }
    totalBytes = pairs.reduce(0) { $0 + $1.bytes }
  }

  init(dictionaryLiteral elements: (Int64, Int64)...) {
    self.init(Dictionary(elements, uniquingKeysWith: +))
  }

  var isEmpty: Bool { pairs.isEmpty }
  var count: Int { pairs.count }
  /// The ledgers in order.
  var ids: [Int64] { pairs.map(\.ledgerID) }

  subscript(ledgerID: Int64) -> Int64? {
    let index = position(of: ledgerID)
    return index < pairs.count && pairs[index].ledgerID == ledgerID ? pairs[index].bytes : nil
  }

  func contains(_ ledgerID: Int64) -> Bool { self[ledgerID] != nil }

  /// With other bytes: more where a number is positive, less where it is negative. A ledger of which nothing is left is gone.
  func changed(by changes: [Int64: Int64]) -> LogLedgers {
    guard !changes.isEmpty else { return self }
    var result = LogLedgers()
    result.pairs.reserveCapacity(pairs.count + changes.count)
    var rest = pairs[...]
    for (ledgerID, change) in changes.sorted(by: { $0.key < $1.key }) {
      while let pair = rest.first, pair.ledgerID < ledgerID {
        result.append(pair)
        rest = rest.dropFirst()
      }
      var bytes = change
      if let pair = rest.first, pair.ledgerID == ledgerID {
        bytes += pair.bytes
        rest = rest.dropFirst()
      }
      if bytes > 0 { result.append(Pair(ledgerID: ledgerID, bytes: bytes)) }
    }
    for pair in rest { result.append(pair) }
    return result
  }

  /// Without some ledgers.
  func without(_ ledgers: Set<Int64>) -> LogLedgers {
    var result = LogLedgers()
    for pair in pairs where !ledgers.contains(pair.ledgerID) { result.append(pair) }
    return result
  }

  /// The record in the index: `ledger 8 bytes 8` for each.
  func encoded() -> [UInt8] {
    [UInt8](unsafeUninitializedCapacity: pairs.count * 16) { buffer, count in
      let bytes = UnsafeMutableRawBufferPointer(buffer)
      for (index, pair) in pairs.enumerated() {
        bytes.storeBytes(of: pair.ledgerID.bigEndian, toByteOffset: index * 16, as: Int64.self)
        bytes.storeBytes(of: pair.bytes.bigEndian, toByteOffset: index * 16 + 8, as: Int64.self)
      }
      count = pairs.count * 16
    }
  }

  /// Nil if the bytes make no sense.
  init?(encoded bytes: UnsafeRawBufferPointer) {
    guard bytes.count % 16 == 0 else { return nil }
    pairs.reserveCapacity(bytes.count / 16)
    for at in stride(from: 0, to: bytes.count, by: 16) {
      append(
        Pair(
          ledgerID: bytes.bigEndian(at: at, as: Int64.self), bytes: bytes.bigEndian(at: at + 8, as: Int64.self)))
    }
    // Earlier ones were written in no order.
    pairs.sort { $0.ledgerID < $1.ledgerID }
  }

  private mutating func append(_ pair: Pair) {
    pairs.append(pair)
    totalBytes &+= pair.bytes
  }

  /// Index of the first pair whose ledger is not before `ledgerID`.
  private func position(of ledgerID: Int64) -> Int {
    var low = 0
    var high = pairs.count
    while low < high {
      let middle = (low + high) / 2
      if pairs[middle].ledgerID < ledgerID { low = middle + 1 } else { high = middle }
    }
    return low
  }
}

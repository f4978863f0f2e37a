/// Changes that an index applies together or not at all, in order.
package struct KeyValueChanges: Sendable {
  /// One change.
  package enum Change: Sendable, Equatable {
    case put([UInt8], [UInt8])
    case delete([UInt8])
    /// Every key from the first (inclusive) to the second (exclusive).
    case deleteRange([UInt8], [UInt8])
  }

  /// The changes in order.
  package private(set) var list: [Change] = []

  package init() {}

  package var isEmpty: Bool { list.isEmpty }

  package mutating func put(_ key: [UInt8], _ value: [UInt8]) { list.append(.put(key, value)) }
  package mutating func delete(_ key: [UInt8]) { list.append(.delete(key)) }
  package mutating func deleteRange(from start: [UInt8], to end: [UInt8]) { list.append(.deleteRange(start, end)) }
}

/// An ordered map on disk, from bytes to bytes. Every method may block; any thread.
package protocol KeyValueStore: Sendable {
  /// The value of a key.
  func get(_ key: [UInt8]) throws(BookieError) -> [UInt8]?

  /// Calls `body` with each pair from `start` (inclusive) to `end` (exclusive; nil: no end) in order, at one point in time,
  /// until it returns false or throws. The bytes are valid during the call.
  /// - Parameter fillsCache: false for long scans, so that they do not evict what single reads need.
  func scan(
    from start: [UInt8], to end: [UInt8]?, fillsCache: Bool,
    _ body: (UnsafeRawBufferPointer, UnsafeRawBufferPointer) throws(BookieError) -> Bool
  ) throws(BookieError)

  /// Applies the changes atomically. They are on the device when this returns; after an error all or none of them are.
  func write(_ changes: KeyValueChanges) throws(BookieError)

  /// Closes the store; every later call throws.
  func close()
}

extension KeyValueStore {
  /// A short scan.
  func scan(
    from start: [UInt8], to end: [UInt8]?,
    _ body: (UnsafeRawBufferPointer, UnsafeRawBufferPointer) throws(BookieError) -> Bool
  ) throws(BookieError) {
    try scan(from: start, to: end, fillsCache: true, body)
  }
}

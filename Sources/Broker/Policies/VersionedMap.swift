import MetadataStore

/// What is known of a set of records that arrive in any order: for each key the newest version wins, and a removal is
/// remembered so that an older record that arrives after it does not come back to life.
struct VersionedMap<Key: Hashable & Sendable, Value: Equatable & Sendable>: Sendable {
  private struct Slot: Sendable {
    var version: MetadataVersion
    var value: Value?
  }

  /// Removed keys are remembered up to this number; by then the reads that raced with the removals are long over.
  static var maximumRemovals: Int { 10_000 }

  private var slots: [Key: Slot] = [:]
  private var removals = 0

  subscript(key: Key) -> Value? { slots[key]?.value }

  var present: [(key: Key, value: Value)] {
    slots.compactMap { key, slot in slot.value.map { (key, $0) } }
  }

  /// Takes in that `key` had `value` (nil: was removed) at `version`. Returns whether what is known changed.
  mutating func apply(_ key: Key, _ value: Value?, version: MetadataVersion) -> Bool {
    let known = slots[key]
    if let known {
      // A removal that does not know its own version carries that of the record it removed.
      guard version > known.version || (version == known.version && value == nil) else { return false }
    }
    if value == nil, known?.value != nil || known == nil { removals += 1 }
    if value != nil, let known, known.value == nil { removals -= 1 }
    slots[key] = Slot(version: version, value: value)
    if removals > Self.maximumRemovals {
      slots = slots.filter { $0.value.value != nil }
      removals = 0
    }
    return known?.value != value
  }
}

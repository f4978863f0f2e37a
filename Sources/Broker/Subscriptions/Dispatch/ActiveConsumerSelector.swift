/// Picks the active consumer of a Failover subscription.
///
/// The candidates are those of the best priority level, sorted by name. A partition takes the one at its index, so that
/// the partitions of a topic spread evenly; a topic without partitions is hashed onto a ring of the names, so that many
/// such topics spread too.
struct ActiveConsumerSelector: Sendable {
  /// -1 for a topic that is not a partition.
  var partitionIndex: Int
  var topicHash: UInt32

  private static let pointsPerConsumer = 100

  init(partitionIndex: Int, topic: String) {
    self.partitionIndex = partitionIndex
    self.topicHash = Murmur3.hash(topic)
  }

  /// - Parameter names: the candidates' names, in order; not empty.
  /// - Returns: the index of the chosen one.
  func pick(_ names: [String]) -> Int {
    guard names.count > 1 else { return 0 }
    if partitionIndex >= 0 { return partitionIndex % names.count }
    var best: (point: UInt32, index: Int)?
    var lowest: (point: UInt32, index: Int)?
    for (index, name) in names.enumerated() {
      for number in 0..<Self.pointsPerConsumer {
        let point = Murmur3.hash(name + String(number))
        if point >= topicHash, best.map({ point < $0.point }) ?? true { best = (point, index) }
        if lowest.map({ point < $0.point }) ?? true { lowest = (point, index) }
      }
    }
    return best?.index ?? lowest?.index ?? 0
  }
}

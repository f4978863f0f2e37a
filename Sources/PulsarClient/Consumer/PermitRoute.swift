import NIOConcurrencyHelpers

/// Brings permits from the queue that all partitions share to the partition that grants them.
final class PermitRoute: Sendable {
  private struct Weak: Sendable {
    weak var consumer: PartitionConsumer?
  }

  private let partitions = NIOLockedValueBox<[Int: Weak]>([:])

  func set(_ partition: PartitionConsumer, at index: Int) {
    partitions.withLockedValue { $0[index] = Weak(consumer: partition) }
  }

  func grant(_ index: Int, _ permits: Int) {
    guard let consumer = partitions.withLockedValue({ $0[index]?.consumer }) else { return }
    consumer.eventLoop.execute { consumer.grant(permits) }
  }
}

import NIOConcurrencyHelpers

/// Brings permits from the queue that all partitions share to the partition that grants them.
final class PermitRoute: Sendable {
  private struct Weak: Sendable {
    weak var consumer: PartitionConsumer?
  }

  private let partitions = NIOLockedValueBox<[Weak]>([])

  func set(_ partitions: [PartitionConsumer]) {
    self.partitions.withLockedValue { $0 = partitions.map { Weak(consumer: $0) } }
  }

  func grant(_ index: Int, _ permits: Int) {
    guard let consumer = partitions.withLockedValue({ $0[index].consumer }) else { return }
    consumer.eventLoop.execute { consumer.grant(permits) }
  }
}

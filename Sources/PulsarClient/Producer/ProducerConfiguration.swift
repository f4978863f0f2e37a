import Compression
import NIOCore
import PulsarWire

/// How a producer publishes.
public struct ProducerConfiguration: Sendable {
  /// The producer's name; the broker gives it one otherwise. A fixed name makes deduplication work over restarts.
  public var name: String?
  /// Put several messages into one entry.
  public var batchingEnabled = true
  /// Messages in a batch, at most.
  public var batchingMaxMessages = 1000
  /// Bytes in a batch, at most.
  public var batchingMaxBytes = 128 << 10
  /// How long the first message of a batch waits for others, at most.
  public var batchingMaxPublishDelay = TimeAmount.milliseconds(1)
  /// Cut a message that is larger than an entry may be into chunks, which the consumer puts together again. Such a
  /// message is not batched; smaller ones are as before.
  public var chunkingEnabled = false
  /// Bytes of an entry, beyond which a message is cut; what the broker takes if `nil` or if that is less.
  public var chunkMaxMessageSize: Int?
  /// How entries are compressed.
  public var compression = CompressionCodec.none
  /// The codec's level, its default if `nil`.
  public var compressionLevel: Int?
  /// Messages that may wait for their receipt, on each partition.
  public var maxPendingMessages = 1000
  /// Bytes that may wait for their receipt, on each partition.
  public var maxPendingBytes = 64 << 20
  /// A message that has no receipt after so long fails; `nil` waits for ever.
  public var sendTimeout: TimeAmount? = .seconds(30)
  /// Sequence number before the first message; the broker's last one for this name otherwise.
  public var initialSequenceID: Int64?
  /// Whether other producers may publish too.
  public var accessMode = ProtoProducerAccessMode.shared
  /// How a key chooses its partition. Producers that share keys with clients in other languages must agree with them.
  public var hashing = KeyHashing.javaString
  /// How often a producer on a partitioned topic asks for partitions that were added; `nil` never does.
  public var autoUpdatePartitionsInterval: TimeAmount? = .seconds(60)
  /// Schema of the messages.
  public var schema: ProtoSchema?
  /// Shown in the topic's stats.
  public var properties: [MessageProperty] = []

  /// The defaults.
  public init() {}
}

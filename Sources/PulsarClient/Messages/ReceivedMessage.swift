import NIOCore
import PulsarWire

/// A message as a consumer or reader gets it.
public struct ReceivedMessage: Sendable {
  /// Where it is.
  public let id: MessageID
  /// The topic, with its partition.
  public let topic: String
  /// What was published, decompressed.
  public let payload: ByteBuffer
  /// Its key.
  public let key: String?
  /// Text beside the payload.
  public let properties: [MessageProperty]
  /// Who published it.
  public let producerName: String
  /// The producer's number for it.
  public let sequenceID: UInt64
  /// When it was published, in milliseconds since 1970.
  public let publishTimeMs: Int64
  /// The application's own time, in milliseconds since 1970; 0 is none.
  public let eventTimeMs: Int64
  /// How often it was delivered before.
  public let redeliveryCount: Int
  /// The region that it was published in, if it came from another.
  public let replicatedFrom: String?
  /// Version of its schema, if it has one.
  public let schemaVersion: ByteBuffer?

  /// The value of the first property of that name.
  public func property(_ key: String) -> String? {
    properties.first { $0.key == key }?.value
  }
}

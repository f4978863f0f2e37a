import Broker
import Compression
import NIOCore
import PulsarWire
import TopicLog

/// Single stored messages: peek, by position. The payload is the body, what is known of the message stands in headers.
struct MessageRoutes {
  /// Payloads beyond this are not decompressed for a peek.
  static let maximumPayload = 64 << 20

  var services: AdminServices
  var domain: TopicDomain

  func register(_ routes: inout RouteBuilder) {
    let services = services
    let domain = domain
    let one = "\(AdminRoutes.base)/\(domain.rawValue)/:tenant/:namespace/:topic"

    routes.get("\(one)/subscription/:subscription/position/:index") { request in
      let topic = try request.topic(domain)
      let index = try request.number("index")
      guard index > 0, index <= 100_000 else {
        throw PolicyError(
          .preconditionFailed, "The position of a message in the backlog is counted from 1, up to 100000")
      }
      let entry = try await services.broker.peekMessage(
        Int(index), on: try request.parameter("subscription"), of: topic)
      return try Self.response(entry)
    }
    routes.get("\(one)/ledger/:ledger/entry/:entry") { request in
      let position = Position(ledgerID: try request.number("ledger"), entryID: try request.number("entry"))
      return try Self.response(try await services.broker.entry(at: position, of: try request.topic(domain)))
    }
  }

  static func response(_ stored: StoredEntry) throws -> AdminResponse {
    let header = try EntryHeader.parse(stored.bytes)
    let metadata = try MessageMetadata(decoding: header.metadata)
    var payload = header.payload
    var isCompressed = metadata.compression != .none
    if isCompressed, metadata.encryptionKeys.isEmpty, let codec = metadata.compression.codec {
      payload = try codec.decompress(
        payload, uncompressedSize: Int(metadata.uncompressedSize), limit: maximumPayload)
      isCompressed = false
    }
    var answer = AdminResponse(status: 200, contentType: "application/octet-stream")
    answer.body = Array(payload.readableBytesView)
    answer.headers = headers(stored, header, metadata, isCompressed: isCompressed)
    return answer
  }

  private static func headers(
    _ stored: StoredEntry, _ header: EntryHeader, _ metadata: MessageMetadata, isCompressed: Bool
  ) -> [(String, String)] {
    var headers = [("X-Pulsar-Message-ID", stored.position.description)]
    func add(_ name: String, _ value: (some CustomStringConvertible)?) {
      if let value { headers.append(("X-Pulsar-\(name)", value.description)) }
    }
    add("producer-name", metadata.producerName)
    add("sequence-id", metadata.sequenceID)
    add("publish-time", ISO8601.string(ms: metadata.publishTimeMs))
    add("event-time", ISO8601.string(ms: metadata.eventTimeMs))
    add("partition-key", metadata.partitionKey)
    add("replicated-from", metadata.replicatedFrom)
    if !metadata.replicateTo.isEmpty { add("replicated-to", metadata.replicateTo.joined(separator: ",")) }
    add("num-batch-message", metadata.numMessagesInBatch)
    add("deliver-at-time", metadata.deliverAtTimeMs)
    add("chunk-id", metadata.chunkID)
    add("num-chunks-from-msg", metadata.numChunksFromMessage)
    add("uuid", metadata.uuid)
    add("marker-type", metadata.markerType)
    add(
      "Broker-Entry-Metadata-timestamp",
      header.brokerEntryMetadata?.brokerTimestampMs.flatMap { ISO8601.string(ms: $0) })
    add("Broker-Entry-Metadata-index", header.brokerEntryMetadata?.index)
    if metadata.nullValue { add("null-value", "true") }
    if !metadata.encryptionKeys.isEmpty { add("Is-Encrypted", "true") }
    if isCompressed { add("compression", metadata.compression.rawValue) }
    for property in metadata.properties { add("PROPERTY-\(property.key)", property.value) }
    return headers
  }
}

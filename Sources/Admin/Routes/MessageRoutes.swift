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
      return try Self.response(
        try await services.broker.peekMessage(Int(index), of: try request.parameter("subscription"), on: topic))
    }
    routes.get("\(one)/ledger/:ledger/entry/:entry") { request in
      let position = Position(ledgerID: try request.number("ledger"), entryID: try request.number("entry"))
      return try Self.response(try await services.broker.message(at: position, of: try request.topic(domain)))
    }
    routes.get("\(one)/examinemessage") { request in
      let fromLatest: Bool
      switch request.query["initialPosition"] ?? "latest" {
      case "latest": fromLatest = true
      case "earliest": fromLatest = false
      case let other: throw PolicyError(.badRequest, "\"\(other)\" is neither earliest nor latest (initialPosition)")
      }
      let number = try request.queryNumber("messagePosition") ?? 1
      return try Self.response(
        try await services.broker.examineMessage(number, fromLatest: fromLatest, of: try request.topic(domain)))
    }
    routes.get("\(one)/getMessageIdByIndex") { request in
      let topic = try request.topic(domain)
      guard let text = request.query["index"], let index = Int64(text), index >= 0 else {
        throw PolicyError(.badRequest, "The index of a message is a whole number from 0 (index)")
      }
      guard let position = try await services.broker.position(ofIndex: index, in: topic) else {
        throw PolicyError(.notFound, "Message not found: \(topic) has no message of index \(index)")
      }
      return try .json(MessageIDBody(position, of: topic))
    }
    routes.get("\(one)/messageid/:timestamp") { request in
      let topic = try request.topic(domain)
      let since = try request.number("timestamp")
      guard let position = try await services.broker.position(publishedSinceMs: since, in: topic) else {
        return try .json(MessageIDBody(try await services.broker.lastMessageID(of: topic)))
      }
      return try .json(MessageIDBody(position, of: topic))
    }
  }

  static func response(_ message: PeekedMessage) throws -> AdminResponse {
    let metadata = try MessageMetadata(decoding: message.metadata.encoded)
    var payload = message.payload
    var isCompressed = metadata.compression != .none
    if isCompressed, metadata.encryptionKeys.isEmpty, let codec = metadata.compression.codec {
      payload = try codec.decompress(
        payload, uncompressedSize: Int(metadata.uncompressedSize), limit: maximumPayload)
      isCompressed = false
    }
    var answer = AdminResponse(status: 200, contentType: "application/octet-stream")
    answer.body = Array(payload.readableBytesView)
    answer.headers = headers(message, metadata, isCompressed: isCompressed)
    return answer
  }

  private static func headers(
    _ message: PeekedMessage, _ metadata: MessageMetadata, isCompressed: Bool
  ) -> [(String, String)] {
    var headers = [("X-Pulsar-Message-ID", message.position.description)]
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
      message.broker?.brokerTimestampMs.flatMap { ISO8601.string(ms: $0) })
    add("Broker-Entry-Metadata-index", message.broker?.index)
    if metadata.nullValue { add("null-value", "true") }
    if !metadata.encryptionKeys.isEmpty { add("Is-Encrypted", "true") }
    if isCompressed { add("compression", metadata.compression.rawValue) }
    for property in metadata.properties { add("PROPERTY-\(property.key)", property.value) }
    return headers
  }
}

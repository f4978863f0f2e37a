import Admin
import Foundation
import NIOCore
import PulsarWire

/// A message as the admin API shows what is stored: the payload as the body, the rest in headers.
struct StoredMessage: Encodable {
  let messageId: String
  let publishTime: String?
  let eventTime: String?
  let key: String?
  let producer: String?
  let sequenceId: String?
  let replicatedFrom: String?
  let properties: [String: String]
  let payload: String?
  let payloadBase64: String?
  let size: Int
  let isMarker: Bool

  /// The messages of an entry: one, or those of a batch.
  ///
  /// - Throws: if the batch cannot be taken apart.
  static func all(_ answer: AdminClient.Response) throws -> [StoredMessage] {
    let body = ByteBuffer(bytes: answer.body)
    guard let count = answer.header("X-Pulsar-num-batch-message").flatMap({ Int($0) }), count > 0,
      answer.header("X-Pulsar-Is-Encrypted") == nil, answer.header("X-Pulsar-compression") == nil
    else { return [StoredMessage(answer, payload: body, single: nil)] }
    var reader = BatchReader(payload: body, count: count)
    var messages: [StoredMessage] = []
    while let message = try reader.next() {
      messages.append(StoredMessage(answer, payload: message.payload, single: (message.index, message.metadata)))
    }
    return messages
  }

  private init(
    _ answer: AdminClient.Response, payload bytes: ByteBuffer, single: (index: Int, metadata: SingleMessageMetadata)?
  ) {
    func header(_ name: String) -> String? { answer.header("X-Pulsar-\(name)") }
    let position = header("Message-ID") ?? "?"
    messageId = single.map { "\(position):\($0.index)" } ?? position
    publishTime = header("publish-time")
    eventTime = header("event-time")
    producer = header("producer-name")
    sequenceId = single?.metadata.sequenceID.map { "\($0)" } ?? header("sequence-id")
    replicatedFrom = header("replicated-from")
    isMarker = header("marker-type") != nil
    key = single.map(\.metadata.partitionKey) ?? header("partition-key")
    if let single {
      properties = Dictionary(single.metadata.properties.map { ($0.key, $0.value) }) { first, _ in first }
    } else {
      let prefix = "x-pulsar-property-"
      let own = answer.headers.filter { $0.name.lowercased().hasPrefix(prefix) }
      properties = Dictionary(own.map { (String($0.name.dropFirst(prefix.count)), $0.value) }) { first, _ in first }
    }
    let content = Array(bytes.readableBytesView)
    size = content.count
    payload = String(validating: content, as: UTF8.self)
    payloadBase64 = payload == nil ? Data(content).base64EncodedString() : nil
  }

  /// Prints messages for a person, or as a JSON array.
  static func print(_ messages: [StoredMessage], json: Bool) throws {
    if json { return try JSONOutput.print(messages) }
    for (index, message) in messages.enumerated() {
      if index > 0 { Swift.print() }
      for line in message.lines { Swift.print(line) }
    }
  }

  private var lines: [String] {
    var lines = ["Message ID: \(messageId)"]
    func add(_ name: String, _ value: String?) {
      if let value { lines.append("\(name): \(value)") }
    }
    add("Publish time", publishTime)
    add("Event time", eventTime)
    add("Key", key)
    add("Producer", producer.map { name in sequenceId.map { "\(name), sequence id \($0)" } ?? name })
    add("Replicated from", replicatedFrom)
    for (name, value) in properties.sorted(by: { $0.key < $1.key }) { add("Property \(name)", value) }
    add("Payload", payload ?? payloadBase64.map { "\(size) bytes, base64 \($0)" })
    return lines
  }
}

extension AdminSession {
  /// The messages of a stored entry; `nil` if there is none.
  func messages(_ path: String, query: [(String, String)] = []) async throws -> [StoredMessage]? {
    do {
      return try StoredMessage.all(try await answer(.get(path, query: query)))
    } catch let AdminClientError.refused(404, reason, _) where reason.hasPrefix("Message not found") {
      return nil
    }
  }
}

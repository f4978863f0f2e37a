import Broker
import Foundation
import PulsarWire

/// `/admin/v2/schemas/{tenant}/{namespace}/{topic}/…`
struct SchemaRoutes {
  /// One version as the API shows it.
  struct Answer: Codable, Equatable {
    var version: Int64
    var type: String
    var timestamp: Int64
    var data: String
    var properties: [String: String]
  }

  private struct Body: Decodable {
    var type: String
    var schema: String?
    var properties: [String: String]?
  }

  private struct Version: Codable {
    var version: Int64
  }

  private struct NestedVersion: Codable {
    var version: Version
  }

  private struct Compatibility: Codable {
    var compatibility: Bool
    var schemaCompatibilityStrategy: String
  }

  private struct Answers: Codable {
    var getSchemaResponses: [Answer]
  }

  var services: AdminServices

  func register(_ routes: inout RouteBuilder) {
    let services = services
    let one = "\(AdminRoutes.base)/schemas/:tenant/:namespace/:topic"
    routes.get("\(one)/schema") { request in
      let topic = try request.topic(.persistent).partitionedTopic
      return try .json(try Self.answer(try await services.broker.schema(of: topic, version: nil), topic))
    }
    routes.get("\(one)/schema/:version") { request in
      let topic = try request.topic(.persistent).partitionedTopic
      let version = try request.number("version")
      return try .json(try Self.answer(try await services.broker.schema(of: topic, version: version), topic))
    }
    routes.get("\(one)/schemas") { request in
      let topic = try request.topic(.persistent).partitionedTopic
      let records = try await services.broker.schemaVersions(of: topic)
      return try .json(Answers(getSchemaResponses: try records.map { try Self.answer($0, topic) }))
    }
    routes.post("\(one)/schema") { request in
      let topic = try request.topic(.persistent).partitionedTopic
      let record = try await services.broker.postSchema(try Self.definition(request), to: topic)
      return try .json(NestedVersion(version: Version(version: record.version)))
    }
    routes.delete("\(one)/schema") { request in
      let topic = try request.topic(.persistent).partitionedTopic
      let force = try request.flag("force")
      return try .json(Version(version: try await services.broker.deleteSchema(of: topic, force: force) ?? -1))
    }
    routes.post("\(one)/compatibility") { request in
      let topic = try request.topic(.persistent).partitionedTopic
      let (reason, strategy) = try await services.broker.schemaObjection(to: try Self.definition(request), of: topic)
      return try .json(Compatibility(compatibility: reason == nil, schemaCompatibilityStrategy: strategy.rawValue))
    }
    routes.post("\(one)/version") { request in
      let topic = try request.topic(.persistent).partitionedTopic
      let wanted = try Self.definition(request)
      let records = try await services.broker.schemaVersions(of: topic)
      guard let found = records.last(where: { $0.schema.type == wanted.type && $0.schema.data == wanted.data }) else {
        throw PolicyError(.notFound, "No version of the schema of \(topic) is like this")
      }
      return try .json(Version(version: found.version))
    }
    routes.get("\(one)/metadata") { request in
      let topic = try request.topic(.persistent).partitionedTopic
      let records = try await services.broker.schemaVersions(of: topic)
      guard let last = records.last else { throw Self.missing(topic) }
      return try .json(Version(version: last.version))
    }
  }

  private static func missing(_ topic: TopicName) -> PolicyError {
    PolicyError(.notFound, "Schema not found: \(topic) has none, or not this version")
  }

  private static func answer(_ record: SchemaRecord, _ topic: TopicName) throws -> Answer {
    guard !record.isDeleted else { throw missing(topic) }
    return Answer(
      version: record.version, type: name(of: record.schema.type), timestamp: record.timestampMs,
      data: String(decoding: record.schema.data, as: UTF8.self), properties: record.schema.properties)
  }

  private static func definition(_ request: AdminRequest) throws -> SchemaDefinition {
    let body = try request.json(Body.self, "schema")
    guard let type = type(named: body.type) else {
      throw PolicyError(.badRequest, "Unknown schema type \"\(body.type)\"")
    }
    return SchemaDefinition(type: type, data: Array((body.schema ?? "").utf8), properties: body.properties ?? [:])
  }

  private static let names: [(ProtoSchema.TypeEnum, String)] = [
    (.none, "NONE"), (.string, "STRING"), (.json, "JSON"), (.protobuf, "PROTOBUF"), (.avro, "AVRO"),
    (.bool, "BOOLEAN"), (.int8, "INT8"), (.int16, "INT16"), (.int32, "INT32"), (.int64, "INT64"), (.float, "FLOAT"),
    (.double, "DOUBLE"), (.date, "DATE"), (.time, "TIME"), (.timestamp, "TIMESTAMP"), (.keyValue, "KEY_VALUE"),
    (.instant, "INSTANT"), (.localDate, "LOCAL_DATE"), (.localTime, "LOCAL_TIME"),
    (.localDateTime, "LOCAL_DATE_TIME"), (.protobufNative, "PROTOBUF_NATIVE"), (.external, "EXTERNAL"),
  ]

  static func name(of type: ProtoSchema.TypeEnum) -> String {
    names.first { $0.0 == type }?.1 ?? "NONE"
  }

  static func type(named name: String) -> ProtoSchema.TypeEnum? {
    name.uppercased() == "BYTES" ? ProtoSchema.TypeEnum.none : names.first { $0.1 == name.uppercased() }?.0
  }
}

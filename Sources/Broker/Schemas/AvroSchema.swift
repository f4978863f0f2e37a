import Foundation

/// An Avro schema, parsed as far as reading one schema's data with another depends on it.
indirect enum AvroSchema: Hashable, Sendable {
  struct Field: Hashable, Sendable {
    var name: String
    var aliases: [String]
    var type: AvroSchema
    var hasDefault: Bool
  }

  case primitive(String)
  case record(name: String, aliases: [String], fields: [Field])
  case enumeration(name: String, aliases: [String], symbols: [String], hasDefault: Bool)
  case array(AvroSchema)
  case map(AvroSchema)
  case fixed(name: String, aliases: [String], size: Int)
  case union([AvroSchema])
  /// A named type used again, by its full name.
  case reference(String)

  static let primitives: Set<String> = ["null", "boolean", "int", "long", "float", "double", "bytes", "string"]
  /// Deeper nesting than any real schema: bounds the recursion over input from clients.
  static let maximumDepth = 64

  struct ParseError: Error, CustomStringConvertible {
    var description: String
  }

  /// A schema and the named types in it.
  struct Document: Sendable {
    var root: AvroSchema
    var named: [String: AvroSchema]

    /// Parses the JSON text of a schema.
    init(json: [UInt8]) throws {
      let value: Any
      do {
        value = try JSONSerialization.jsonObject(with: Data(json), options: [.fragmentsAllowed])
      } catch {
        throw ParseError(description: "the schema is not JSON")
      }
      var named: [String: AvroSchema] = [:]
      root = try AvroSchema.parse(value, namespace: nil, named: &named, depth: 0)
      self.named = named
    }

    func resolve(_ schema: AvroSchema) -> AvroSchema {
      if case .reference(let name) = schema { return named[name] ?? schema }
      return schema
    }
  }

  private static func parse(
    _ value: Any, namespace: String?, named: inout [String: AvroSchema], depth: Int
  ) throws -> AvroSchema {
    guard depth < maximumDepth else { throw ParseError(description: "the schema is nested too deeply") }
    if let name = value as? String {
      if primitives.contains(name) { return .primitive(name) }
      let full = fullName(name, namespace)
      guard named[full] != nil else { throw ParseError(description: "the schema names an unknown type '\(name)'") }
      return .reference(full)
    }
    if let branches = value as? [Any] {
      return .union(try branches.map { try parse($0, namespace: namespace, named: &named, depth: depth + 1) })
    }
    guard let object = value as? [String: Any], let type = object["type"] else {
      throw ParseError(description: "a type of the schema is neither a name, a union nor an object with 'type'")
    }
    guard let kind = type as? String else {
      return try parse(type, namespace: namespace, named: &named, depth: depth + 1)
    }
    switch kind {
    case "array":
      return .array(try parse(object["items"] ?? "", namespace: namespace, named: &named, depth: depth + 1))
    case "map":
      return .map(try parse(object["values"] ?? "", namespace: namespace, named: &named, depth: depth + 1))
    case "record", "error", "enum", "fixed":
      return try parseNamed(kind, object, namespace: namespace, named: &named, depth: depth)
    default:
      return try parse(kind, namespace: namespace, named: &named, depth: depth + 1)
    }
  }

  private static func parseNamed(
    _ kind: String, _ object: [String: Any], namespace outer: String?, named: inout [String: AvroSchema], depth: Int
  ) throws -> AvroSchema {
    guard let name = object["name"] as? String, !name.isEmpty else {
      throw ParseError(description: "a \(kind) of the schema has no name")
    }
    let full = fullName(name, object["namespace"] as? String ?? outer)
    let namespace = full.lastIndex(of: ".").map { String(full[..<$0]) }
    let aliases = (object["aliases"] as? [String] ?? []).map { fullName($0, namespace) }
    let schema: AvroSchema
    switch kind {
    case "enum":
      schema = .enumeration(
        name: full, aliases: aliases, symbols: object["symbols"] as? [String] ?? [],
        hasDefault: object["default"] != nil)
    case "fixed":
      schema = .fixed(name: full, aliases: aliases, size: object["size"] as? Int ?? 0)
    default:
      // The record may hold itself: its name is known before its fields are.
      named[full] = .record(name: full, aliases: aliases, fields: [])
      var fields: [Field] = []
      for case let field as [String: Any] in object["fields"] as? [Any] ?? [] {
        guard let fieldName = field["name"] as? String, let type = field["type"] else {
          throw ParseError(description: "a field of \(full) has no name or no type")
        }
        fields.append(
          Field(
            name: fieldName, aliases: field["aliases"] as? [String] ?? [],
            type: try parse(type, namespace: namespace, named: &named, depth: depth + 1),
            hasDefault: field["default"] != nil))
      }
      schema = .record(name: full, aliases: aliases, fields: fields)
    }
    named[full] = schema
    return schema
  }

  private static func fullName(_ name: String, _ namespace: String?) -> String {
    guard !name.contains("."), let namespace, !namespace.isEmpty else { return name }
    return "\(namespace).\(name)"
  }
}

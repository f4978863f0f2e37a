import PulsarWire

/// The rules by which a topic takes a new schema: pure functions of the schemas.
enum SchemaCompatibility {
  /// Why `new` may not follow `existing` (oldest first) under `strategy`; nil if it may.
  static func objection(
    to new: SchemaDefinition, after existing: [SchemaDefinition], strategy: SchemaCompatibilityStrategy
  ) -> String? {
    if let objection = malformation(of: new) { return objection }
    guard let latest = existing.last else { return nil }
    switch strategy {
    case .alwaysCompatible: return nil
    case .alwaysIncompatible: return "the topic's schema may not change (ALWAYS_INCOMPATIBLE)"
    default: break
    }
    for old in strategy.checksEveryVersion ? existing : [latest] {
      if let objection = objection(to: new, after: old, strategy: strategy == .undefined ? .full : strategy) {
        return objection
      }
    }
    return nil
  }

  /// What is wrong with a schema by itself; nil if nothing is.
  static func malformation(of schema: SchemaDefinition) -> String? {
    guard isRecord(schema.type) else { return nil }
    // Clients send JSON schemas in an older form too: there any JSON is taken as it is.
    if schema.type == .json { return nil }
    do {
      _ = try AvroSchema.Document(json: schema.data)
      return nil
    } catch {
      return "Invalid schema definition data for \(schema.type) schema: \(error)"
    }
  }

  private static func objection(
    to new: SchemaDefinition, after old: SchemaDefinition, strategy: SchemaCompatibilityStrategy
  ) -> String? {
    guard new.type == old.type else {
      return "Incompatible schema: exists schema type \(old.type), new schema type \(new.type)"
    }
    guard isRecord(new.type) else { return nil }
    guard let newer = try? AvroSchema.Document(json: new.data), let older = try? AvroSchema.Document(json: old.data)
    else { return new.data == old.data || new.type == .json ? nil : "the schemas cannot be compared" }
    if strategy.newReadsOld, let objection = AvroResolution(reader: newer, writer: older).objection() {
      return "Incompatible schema: the new one cannot read what the last one wrote: \(objection)"
    }
    if strategy.oldReadsNew, let objection = AvroResolution(reader: older, writer: newer).objection() {
      return "Incompatible schema: the last one cannot read what the new one writes: \(objection)"
    }
    return nil
  }

  private static func isRecord(_ type: ProtoSchema.TypeEnum) -> Bool {
    switch type {
    case .avro, .json, .protobuf: true
    default: false
    }
  }
}

/// Whether data of one Avro schema can be read with another, by the rules of schema resolution.
struct AvroResolution {
  let reader: AvroSchema.Document
  let writer: AvroSchema.Document

  /// Why it cannot; nil if it can.
  func objection() -> String? {
    var assumed: Set<Pair> = []
    return objection(reader.root, writer.root, at: "", &assumed)
  }

  private struct Pair: Hashable {
    var reader: String
    var writer: String
  }

  private func objection(
    _ r: AvroSchema, _ w: AvroSchema, at path: String, _ assumed: inout Set<Pair>
  ) -> String? {
    let r = reader.resolve(r)
    let w = writer.resolve(w)
    if case .union(let written) = w {
      for branch in written {
        if let objection = objection(r, branch, at: path, &assumed) { return objection }
      }
      return nil
    }
    if case .union(let readable) = r {
      for branch in readable where objection(branch, w, at: path, &assumed) == nil { return nil }
      return "\(place(path)): no branch of the reader's union takes \(name(w))"
    }
    switch (r, w) {
    case (.primitive(let a), .primitive(let b)):
      return a == b || Self.promotions[b, default: []].contains(a) ? nil : "\(place(path)): \(b) is not read as \(a)"
    case (.array(let a), .array(let b)), (.map(let a), .map(let b)):
      return objection(a, b, at: path + "[]", &assumed)
    case (.fixed(let a, let aliases, let size), .fixed(let b, _, let writtenSize)):
      guard namesMatch(a, aliases, b) else { return "\(place(path)): \(b) is not \(a)" }
      return size == writtenSize ? nil : "\(place(path)): fixed \(b) has \(writtenSize) bytes, not \(size)"
    case (.enumeration(let a, let aliases, let symbols, let hasDefault), .enumeration(let b, _, let written, _)):
      guard namesMatch(a, aliases, b) else { return "\(place(path)): \(b) is not \(a)" }
      guard !hasDefault, let unknown = written.first(where: { !symbols.contains($0) }) else { return nil }
      return "\(place(path)): the reader does not know the symbol \(unknown)"
    case (.record(let a, let aliases, let fields), .record(let b, _, let written)):
      guard namesMatch(a, aliases, b) else { return "\(place(path)): record \(b) is not \(a)" }
      guard assumed.insert(Pair(reader: a, writer: b)).inserted else { return nil }
      for field in fields {
        let source = written.first { $0.name == field.name || field.aliases.contains($0.name) }
        guard let source else {
          if field.hasDefault { continue }
          assumed.remove(Pair(reader: a, writer: b))
          return "\(place(path)): the reader's field '\(field.name)' is missing in the writer and has no default"
        }
        if let objection = objection(field.type, source.type, at: "\(path).\(field.name)", &assumed) {
          assumed.remove(Pair(reader: a, writer: b))
          return objection
        }
      }
      return nil
    default:
      return "\(place(path)): \(name(w)) is not read as \(name(r))"
    }
  }

  private static let promotions: [String: Set<String>] = [
    "int": ["long", "float", "double"], "long": ["float", "double"], "float": ["double"], "string": ["bytes"],
    "bytes": ["string"],
  ]

  private func namesMatch(_ reader: String, _ aliases: [String], _ writer: String) -> Bool {
    func short(_ name: String) -> Substring { name.split(separator: ".").last ?? Substring(name) }
    return short(reader) == short(writer) || aliases.contains(writer)
  }

  private func place(_ path: String) -> String { path.isEmpty ? "at the root" : "at \(path.dropFirst())" }

  private func name(_ schema: AvroSchema) -> String {
    switch schema {
    case .primitive(let name), .reference(let name): name
    case .record(let name, _, _): "record \(name)"
    case .enumeration(let name, _, _, _): "enum \(name)"
    case .fixed(let name, _, _): "fixed \(name)"
    case .array: "an array"
    case .map: "a map"
    case .union: "a union"
    }
  }
}

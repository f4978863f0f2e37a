import Foundation

/// JSON in and out for policies and stats: sorted keys, null fields omitted, bad input told in one sentence.
public enum PolicyJSON {
  /// Encodes `value`; dictionaries and fields come out in key order so that equal values give equal bytes.
  public static func encode(_ value: some Encodable) throws -> [UInt8] {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    encoder.nonConformingFloatEncodingStrategy = .convertToString(
      positiveInfinity: "Infinity", negativeInfinity: "-Infinity", nan: "NaN")
    return [UInt8](try encoder.encode(value))
  }

  /// Decodes `bytes`, or throws a `badRequest` that names the field and what was expected there.
  public static func decode<Value: Decodable>(_ type: Value.Type, from bytes: [UInt8], what: String) throws(PolicyError)
    -> Value
  {
    do {
      let decoder = JSONDecoder()
      decoder.nonConformingFloatDecodingStrategy = .convertFromString(
        positiveInfinity: "Infinity", negativeInfinity: "-Infinity", nan: "NaN")
      return try decoder.decode(type, from: Data(bytes))
    } catch let error as DecodingError {
      throw PolicyError(.badRequest, "Bad \(what): \(sentence(for: error)).")
    } catch {
      throw PolicyError(.badRequest, "Bad \(what): \(error).")
    }
  }

  /// What is wrong, naming the field.
  public static func sentence(for error: DecodingError) -> String {
    switch error {
    case .typeMismatch(let type, let context):
      return "\(path(context)) has the wrong type, expected \(name(of: type))"
    case .valueNotFound(let type, let context):
      return "\(path(context)) is null, expected \(name(of: type))"
    case .keyNotFound(let key, let context):
      return "\(path(context)) lacks the field \"\(key.stringValue)\""
    case .dataCorrupted(let context):
      // A body that is no JSON comes with the parser's error; a value that is none of those possible does not.
      guard !context.codingPath.isEmpty || context.underlyingError == nil else { return "the body is not valid JSON" }
      return "\(path(context)): \(context.debugDescription)"
    @unknown default:
      return "the body does not have the expected form"
    }
  }

  private static func path(_ context: DecodingError.Context) -> String {
    let path = context.codingPath.map(\.stringValue).joined(separator: ".")
    return path.isEmpty ? "the value" : "field \"\(path)\""
  }

  private static func name(of type: Any.Type) -> String {
    switch type {
    case is Bool.Type: return "true or false"
    case is Int.Type, is Int64.Type, is Int32.Type, is Double.Type: return "a number"
    case is String.Type: return "a string"
    case is [Any].Type: return "a list"
    default: return "\(type)".hasPrefix("Dictionary") ? "an object" : "\(type)"
    }
  }
}

import ArgumentParser

/// Small translations from arguments to what the admin API takes.
enum Arguments {
  /// `a,b` as a list of texts.
  static func list(_ text: String?) -> JSONValue {
    .array((text ?? "").split(separator: ",").map { .string($0.trimmingSpaces()) })
  }

  /// `key=value` texts as an object.
  static func pairs(_ texts: [String], _ option: String) throws -> [String: JSONValue] {
    var fields: [String: JSONValue] = [:]
    for text in texts {
      let parts = text.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
      guard parts.count == 2, !parts[0].isEmpty else { throw ValidationError("\(option) `\(text)` must be key=value") }
      fields[String(parts[0])] = .string(String(parts[1]))
    }
    return fields
  }

  /// The query of a forced deletion.
  static func force(_ force: Bool) -> [(String, String)] {
    force ? [("force", "true")] : []
  }
}

extension Substring {
  func trimmingSpaces() -> String {
    var text = self
    while text.first == " " { text.removeFirst() }
    while text.last == " " { text.removeLast() }
    return String(text)
  }
}

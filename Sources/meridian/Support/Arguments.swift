/// Small translations from arguments to what the admin API takes.
enum Arguments {
  /// `a,b` as a list of texts.
  static func list(_ text: String?) -> JSONValue {
    .array((text ?? "").split(separator: ",").map { .string($0.trimmingSpaces()) })
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

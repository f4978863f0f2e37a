/// The text format that Prometheus reads: one `# TYPE` line for each metric, then its samples.
enum PrometheusText {
  static let contentType = "text/plain; version=0.0.4; charset=utf-8"

  /// Renders the samples; those of one metric stand together, in order of first appearance. Samples whose name or label name
  /// is not allowed are left out.
  static func render(_ samples: [MetricSample]) -> String {
    var order: [String] = []
    var byName: [String: [MetricSample]] = [:]
    for sample in samples where isName(sample.name, colon: true) {
      let family = sample.family ?? sample.name
      if byName[family] == nil { order.append(family) }
      byName[family, default: []].append(sample)
    }
    var text = ""
    for name in order {
      let samples = byName[name] ?? []
      text += "# TYPE \(name) \(samples.first?.kind.rawValue ?? "gauge")\n"
      for sample in samples {
        text += sample.name
        let labels = sample.labels.filter { isName($0.name, colon: false) }
        if !labels.isEmpty {
          text += "{" + labels.map { "\($0.name)=\"\(escape($0.value))\"" }.joined(separator: ",") + "}"
        }
        text += " \(number(sample.value))\n"
      }
    }
    return text
  }

  private static func number(_ value: Double) -> String {
    if value.isNaN { return "NaN" }
    if value.isInfinite { return value > 0 ? "+Inf" : "-Inf" }
    if let whole = Int64(exactly: value) { return String(whole) }
    return String(value)
  }

  private static func escape(_ value: String) -> String {
    guard value.utf8.contains(where: { $0 == 0x5c || $0 == 0x22 || $0 == 0x0a }) else { return value }
    var escaped = ""
    for character in value.unicodeScalars {
      switch character {
      case "\\": escaped += "\\\\"
      case "\"": escaped += "\\\""
      case "\n": escaped += "\\n"
      default: escaped.unicodeScalars.append(character)
      }
    }
    return escaped
  }

  private static func isName(_ name: String, colon: Bool) -> Bool {
    guard let first = name.utf8.first, !(0x30...0x39).contains(first) else { return false }
    return name.utf8.allSatisfy { byte in
      switch byte {
      case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
        UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "_"):
        true
      case UInt8(ascii: ":"): colon
      default: false
      }
    }
  }
}

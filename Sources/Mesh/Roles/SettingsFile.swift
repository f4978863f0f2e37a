import Foundation
import Yams

/// Reads configuration files of processes: `key=value` lines as BookKeeper and Pulsar have them (`.conf`, `.properties`),
/// else one YAML mapping of plain values, which JSON is too.
enum SettingsFile {
  /// The settings in the file, by name.
  static func load(_ path: String) throws -> [String: String] {
    guard let bytes = FileManager.default.contents(atPath: path) else {
      throw MeshError("cannot read the configuration file \(path)")
    }
    let text = String(decoding: bytes, as: UTF8.self)
    let isLines = path.hasSuffix(".conf") || path.hasSuffix(".properties")
    return isLines ? try lines(text, path) : try yaml(text, path)
  }

  static func lines(_ text: String, _ path: String) throws -> [String: String] {
    var settings: [String: String] = [:]
    for (number, line) in text.split(separator: "\n", omittingEmptySubsequences: false).enumerated() {
      let trimmed = line.trimmingCharacters(in: .whitespaces)
      guard !trimmed.isEmpty, !trimmed.hasPrefix("#") else { continue }
      guard let equals = trimmed.firstIndex(of: "=") else {
        throw MeshError("\(path):\(number + 1): a line must be `key=value`, and `\(trimmed)` is not")
      }
      let key = trimmed[..<equals].trimmingCharacters(in: .whitespaces)
      settings[key] = trimmed[trimmed.index(after: equals)...].trimmingCharacters(in: .whitespaces)
    }
    return settings
  }

  static func yaml(_ text: String, _ path: String) throws -> [String: String] {
    let root: Node?
    do {
      root = try Yams.compose(yaml: text)
    } catch {
      throw MeshError("\(path) is not valid YAML: \(error)".split(separator: "\n").joined(separator: " "))
    }
    guard let root else { return [:] }
    guard let mapping = root.mapping else { throw MeshError("\(path) must be a mapping of settings to values") }
    var settings: [String: String] = [:]
    for (key, value) in mapping {
      guard let name = key.string else { throw MeshError("\(path) has a setting whose name is no text") }
      if let list = value.sequence {
        settings[name] = try list.map {
          guard let item = $0.scalar?.string else { throw MeshError("\(path): \(name) must be a list of plain values") }
          return item
        }.joined(separator: ",")
      } else if let scalar = value.scalar {
        settings[name] = scalar.string
      } else {
        throw MeshError("\(path): \(name) must be a plain value or a list of them")
      }
    }
    return settings
  }
}

/// How a new schema must relate to the schemas already registered.
public enum SchemaCompatibilityStrategy: String, Codable, Hashable, Sendable, CaseIterable {
  /// The broker's default.
  case undefined = "UNDEFINED"
  /// No change is accepted.
  case alwaysIncompatible = "ALWAYS_INCOMPATIBLE"
  /// Every change is accepted.
  case alwaysCompatible = "ALWAYS_COMPATIBLE"
  /// Consumers with the new schema read data of the latest one.
  case backward = "BACKWARD"
  /// Consumers with the latest schema read data of the new one.
  case forward = "FORWARD"
  /// Both.
  case full = "FULL"
  /// Consumers with the new schema read data of every earlier one.
  case backwardTransitive = "BACKWARD_TRANSITIVE"
  /// Consumers with any earlier schema read data of the new one.
  case forwardTransitive = "FORWARD_TRANSITIVE"
  /// Both, over all versions.
  case fullTransitive = "FULL_TRANSITIVE"
}

/// Why a mesh command cannot do what it was asked: one sentence for a person.
public struct MeshError: Error, CustomStringConvertible, Sendable, Equatable {
  /// The sentence: what, where, what to do.
  public let description: String

  /// An error with its sentence.
  public init(_ description: String) {
    self.description = description
  }
}

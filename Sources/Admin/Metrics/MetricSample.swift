/// One figure for `/metrics`.
public struct MetricSample: Hashable, Sendable {
  /// How a figure behaves.
  public enum Kind: String, Sendable {
    /// Goes up and down.
    case gauge
    /// Only grows.
    case counter
  }

  /// A label.
  public struct Label: Hashable, Sendable {
    /// Its name, `[a-zA-Z_][a-zA-Z0-9_]*`.
    public var name: String
    /// Its value, any text.
    public var value: String

    /// A label of its parts.
    public init(_ name: String, _ value: String) {
      self.name = name
      self.value = value
    }
  }

  /// Name of the metric, `[a-zA-Z_:][a-zA-Z0-9_:]*`.
  public var name: String
  /// Labels, in the order they are written.
  public var labels: [Label]
  /// The figure.
  public var value: Double
  /// How it behaves.
  public var kind: Kind

  /// A figure of its parts.
  public init(_ name: String, _ value: Double, labels: [Label] = [], kind: Kind = .gauge) {
    self.name = name
    self.labels = labels
    self.value = value
    self.kind = kind
  }
}

/// One figure for `/metrics`.
public struct MetricSample: Hashable, Sendable {
  /// How a figure behaves.
  public enum Kind: String, Sendable {
    /// Goes up and down.
    case gauge
    /// Only grows.
    case counter
    /// Durations or sizes: samples with a label `quantile`, and two whose names end in `_sum` and `_count`.
    case summary
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
  /// The metric that the sample belongs to, where that is not its name; nil: its name.
  public var family: String?
  /// Labels, in the order they are written.
  public var labels: [Label]
  /// The figure.
  public var value: Double
  /// How it behaves.
  public var kind: Kind

  /// A figure of its parts.
  public init(
    _ name: String, _ value: Double, labels: [Label] = [], kind: Kind = .gauge, family: String? = nil
  ) {
    self.name = name
    self.family = family
    self.labels = labels
    self.value = value
    self.kind = kind
  }
}

import Histogram
import Mesh

/// What a measurement found, one figure a line; where there is one, with what it is compared and what is aimed at.
struct PerfFigures: Encodable {
  struct Figure: Encodable {
    var measurement: String
    var name: String
    var value: Double
    var unit: String
    /// What the value is compared with, measured in the same run.
    var comparedWith: String?
    var reference: Double?
    /// `value` divided by `reference`.
    var ratio: Double?
    /// The bound that is aimed at, of the ratio if there is one and of the value otherwise.
    var target: Double?
    /// Whether the target is a lower bound.
    var isTargetLeast: Bool?
    var isReached: Bool?
  }

  enum Target {
    case atLeast(Double)
    case atMost(Double)
  }

  var schemaVersion = 1
  var settings: [String: String]
  private(set) var figures: [Figure] = []

  init(settings: [String: String]) {
    self.settings = settings
  }

  mutating func add(
    _ measurement: String, _ name: String, _ value: Double, _ unit: String,
    against reference: (String, Double)? = nil, target: Target? = nil
  ) {
    var figure = Figure(measurement: measurement, name: name, value: value, unit: unit)
    if let reference {
      figure.comparedWith = reference.0
      figure.reference = reference.1
      figure.ratio = reference.1 > 0 ? value / reference.1 : 0
    }
    let measure = figure.ratio ?? value
    switch target {
    case .atLeast(let bound):
      (figure.target, figure.isTargetLeast, figure.isReached) = (bound, true, measure >= bound)
    case .atMost(let bound):
      (figure.target, figure.isTargetLeast, figure.isReached) = (bound, false, measure <= bound)
    case nil: break
    }
    figures.append(figure)
  }

  /// Adds percentiles of a histogram of microseconds.
  mutating func add(_ measurement: String, _ name: String, _ latency: Histogram<UInt64>) {
    guard latency.totalCount > 0 else { return }
    for percentile in [50, 99, 99.9] {
      add(
        measurement, "\(name) p\(Self.text(percentile))",
        Double(latency.valueAtPercentile(percentile)) / 1000, "ms")
    }
  }

  func print(json: Bool) throws {
    if json { return try JSONOutput.print(self) }
    Swift.print(settings.sorted { $0.key < $1.key }.map { "\($0.key)=\($0.value)" }.joined(separator: " "))
    var table = Table([
      ("MEASUREMENT", .left), ("FIGURE", .left), ("VALUE", .right), ("UNIT", .left), ("AGAINST", .left),
      ("THAT", .right), ("RATIO", .right), ("TARGET", .left),
    ])
    for figure in figures {
      var target = ""
      if let bound = figure.target, let isReached = figure.isReached {
        target = "\(figure.isTargetLeast == true ? ">=" : "<=") \(Self.text(bound)) \(isReached ? "reached" : "missed")"
      }
      table.add(
        figure.measurement, figure.name, Self.text(figure.value), figure.unit, figure.comparedWith ?? "",
        figure.reference.map(Self.text) ?? "", figure.ratio.map { Humanize.fixed($0, digits: 3) } ?? "", target)
    }
    table.print()
  }

  private static func text(_ value: Double) -> String {
    if value == value.rounded(), abs(value) < 1e15 { return String(Int64(value)) }
    return Humanize.fixed(value, digits: value >= 100 ? 0 : value >= 1 ? 2 : 3)
  }
}

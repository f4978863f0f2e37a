/// Why a topology file cannot be used: one sentence with the place in the file.
public struct TopologyError: Error, CustomStringConvertible, Sendable, Equatable {
  /// The sentence.
  public let description: String

  init(_ file: String, line: Int?, _ problem: String) {
    if let line {
      description = "\(file), line \(line): \(problem)"
    } else {
      description = "\(file): \(problem)"
    }
  }
}

import NIOCore

/// How one direction of an emulated WAN path behaves.
public struct WANShape: Sendable, Equatable {
  /// Time a byte travels, without jitter.
  public var delay: TimeAmount
  /// Largest time added to ``delay``; every chunk gets its own part of it. Bytes never overtake each other.
  public var jitter: TimeAmount
  /// Bytes a second that the path carries; `nil` is no limit.
  public var bandwidth: Int64?
  /// A cut path is silent: connections stay open, nothing arrives, until it heals.
  public var isCut: Bool

  /// A path that adds nothing unless told.
  public init(
    delay: TimeAmount = .zero, jitter: TimeAmount = .zero, bandwidth: Int64? = nil, isCut: Bool = false
  ) {
    self.delay = delay
    self.jitter = jitter
    self.bandwidth = bandwidth
    self.isCut = isCut
  }
}

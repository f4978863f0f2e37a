/// What a command asks the supervisor of a local mesh: one JSON object a line.
public enum ControlRequest: Codable, Sendable {
  /// Start what does not run, and answer when every region serves and every link is connected.
  case up
  /// Tell what runs.
  case status
  /// Stop every region and the supervisor.
  case down
  /// Change the WAN between two regions.
  case wan(WANChange)
}

/// A change of the path between two regions.
public struct WANChange: Codable, Sendable, Equatable {
  /// One end; with ``oneWay``, where the bytes come from.
  public var from: String
  /// The other end.
  public var to: String
  /// Change only the direction `from` → `to`.
  public var oneWay = false
  /// New round-trip time in nanoseconds.
  public var roundTripNanoseconds: Int64?
  /// New jitter in nanoseconds.
  public var jitterNanoseconds: Int64?
  /// New bandwidth in bytes a second; 0 lifts the limit.
  public var bandwidth: Int64?
  /// Cut (`true`) or heal (`false`).
  public var cut: Bool?
  /// Reset the connections that the path carries.
  public var reset = false

  /// A change that changes nothing yet.
  public init(from: String, to: String) {
    self.from = from
    self.to = to
  }
}

/// The supervisor's answer.
public enum ControlResponse: Codable, Sendable {
  /// Progress on the way to the answer proper.
  case progress(String)
  /// What runs.
  case status(MeshStatus)
  /// The order was carried out.
  case done(String)
  /// It was not, and why.
  case failed(String)
}

/// What `mesh status` shows.
public struct MeshStatus: Codable, Sendable, Equatable {
  /// A region's process.
  public struct Region: Codable, Sendable, Equatable {
    /// The region's name.
    public var name: String
    /// Process id; absent when it does not run.
    public var pid: Int32?
    /// `serving`, `starting`, `stopped`, or `silent`: it served and does not answer now.
    public var state: String
    /// Where Pulsar clients connect.
    public var pulsarUrl: String
    /// Where Pulsar clients connect over TLS.
    public var pulsarTlsUrl: String
    /// Where admin tools connect.
    public var adminUrl: String
  }

  /// One direction of replication between two regions.
  public struct Link: Codable, Sendable, Equatable {
    /// Region that sends.
    public var from: String
    /// Region that receives.
    public var to: String
    /// State of the link as the sender reports it, `unknown` when the sender does not answer.
    public var state: String
    /// Why it is in this state.
    public var reason: String?
    /// Round trip that the emulated path adds, in milliseconds.
    public var rttMs: Double
    /// Jitter of each direction in milliseconds.
    public var jitterMs: Double
    /// Bytes a second; absent when not limited.
    public var bandwidth: Int64?
    /// Whether the path is cut.
    public var isCut: Bool
  }

  /// Every region of the topology.
  public var regions: [Region]
  /// Every directed link.
  public var links: [Link]
}

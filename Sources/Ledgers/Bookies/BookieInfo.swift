/// A bookie as registered in the metadata store.
public struct BookieInfo: Hashable, Sendable, Codable {
  /// Its id: stable over restarts and changes of address.
  public var id: String
  /// Where it listens.
  public var host: String
  /// The port it listens on.
  public var port: Int
  /// Its failure domain, if it told one (or an operator set one), as a path such as `/zone-a/rack-3`.
  public var networkLocation: String?
  /// The affinity group that an operator put it in, if any.
  public var group: String?
  /// Free bytes on its fullest ledger disk, if it told.
  public var freeDiskBytes: Int64?
  /// Bytes of its ledger disks, if it told.
  public var totalDiskBytes: Int64?
  /// Whether it serves reads, fences and recovery only.
  public var isReadOnly: Bool
  /// Whether an operator is taking it out of service: it gets no new entries, and what it has is copied elsewhere.
  public var isDraining: Bool

  /// Makes a description of a bookie.
  public init(
    id: String, host: String, port: Int, networkLocation: String? = nil, group: String? = nil,
    freeDiskBytes: Int64? = nil, totalDiskBytes: Int64? = nil, isReadOnly: Bool = false, isDraining: Bool = false
  ) {
    self.id = id
    self.host = host
    self.port = port
    self.networkLocation = networkLocation
    self.group = group
    self.freeDiskBytes = freeDiskBytes
    self.totalDiskBytes = totalDiskBytes
    self.isReadOnly = isReadOnly
    self.isDraining = isDraining
  }

  /// Where a bookie is that told nothing.
  public static let defaultRack = "/default-rack"

  /// The whole failure domain, never empty.
  public var rack: String { networkLocation.flatMap { $0.isEmpty ? nil : $0 } ?? Self.defaultRack }

  /// The first part of the failure domain: the region or zone that holds the rack.
  public var region: String { rack.split(separator: "/", maxSplits: 1).first.map(String.init) ?? rack }
}

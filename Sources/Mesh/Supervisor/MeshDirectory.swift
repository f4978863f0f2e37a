/// Where a local mesh keeps its files, below the directory given by `--data`.
public struct MeshDirectory: Sendable {
  /// The directory itself.
  public let path: String

  /// The directory at a path; nothing is created.
  public init(path: String) {
    self.path = path
  }

  /// What runs, and on which ports.
  public var stateFile: String { path + "/mesh.json" }
  /// What `meridian lag` and the other commands read to find the regions.
  public var contextFile: String { path + "/context.json" }
  /// Socket on which the supervisor takes orders.
  public var controlSocket: String { path + "/mesh.sock" }
  /// Log of the supervisor.
  public var supervisorLog: String { path + "/mesh.log" }
  /// Certificate authority of the mesh.
  public var certificates: String { path + "/certs" }

  /// Directory of a region's data.
  public func region(_ name: String) -> String { path + "/regions/" + name }
  /// Log of a region.
  public func regionLog(_ name: String) -> String { region(name) + "/meridian.log" }
  /// Configuration file of a region's process.
  public func regionConfiguration(_ name: String) -> String { region(name) + "/standalone.json" }
  /// Certificate chain of a region.
  public func certificate(_ name: String) -> String { certificates + "/\(name).crt" }
  /// Private key of a region.
  public func privateKey(_ name: String) -> String { certificates + "/\(name).key" }
}

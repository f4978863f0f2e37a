import Logging
import NIOCore
import NIOPosix

/// The WAN of a local mesh: a path for each direction of each link, and a proxy for each region that connects to another.
/// All of it lives on one event loop.
final class WANEmulator: @unchecked Sendable {
  private let eventLoop: any EventLoop
  private let logger: Logger
  private var paths: [String: WANPath] = [:]
  private var proxies: [String: WANProxy] = [:]
  private var ports: [String: Int] = [:]

  init(topology: Topology, eventLoop: any EventLoop, logger: Logger) {
    self.eventLoop = eventLoop
    self.logger = logger
    for link in topology.links {
      for (from, to) in [(link.ends[0], link.ends[1]), (link.ends[1], link.ends[0])] {
        paths[Self.key(from, to)] = WANPath(from: from, to: to, shape: link.shape, eventLoop: eventLoop)
      }
    }
  }

  /// Starts the proxies.
  ///
  /// - Parameters:
  ///   - knownPorts: ports of an earlier run; regions that still run know them.
  /// - Returns: the port of each, by ``key(_:_:)``.
  func start(topology: Topology, knownPorts: [String: Int]) async throws -> [String: Int] {
    for path in paths.values {
      guard let forward = paths[Self.key(path.from, path.to)], let backward = paths[Self.key(path.to, path.from)],
        let target = topology.region(path.to)
      else { continue }
      let address = try SocketAddress(ipAddress: "127.0.0.1", port: target.pulsarTLSPort)
      let proxy = WANProxy(forward: forward, backward: backward, target: address, logger: logger)
      let key = Self.key(path.from, path.to)
      let port: Int
      do {
        port = try await proxy.start(host: "127.0.0.1", port: knownPorts[key] ?? 0)
      } catch  where knownPorts[key] != nil {
        port = try await proxy.start(host: "127.0.0.1", port: 0)
      }
      try await eventLoop.submit {
        self.proxies[key] = proxy
        self.ports[key] = port
      }.get()
    }
    return try await eventLoop.submit { self.ports }.get()
  }

  /// Changes the path between two regions; returns what it is now, for a person.
  func change(_ change: WANChange) async throws -> String {
    try await eventLoop.submit { try self.apply(change) }.get()
  }

  func shape(from: String, to: String) async -> WANShape? {
    (try? await eventLoop.submit { self.paths[Self.key(from, to)]?.shape }.get()) ?? nil
  }

  func stop() async {
    let proxies = (try? await eventLoop.submit { Array(self.proxies.values) }.get()) ?? []
    for proxy in proxies { try? await proxy.stop() }
  }

  static func key(_ from: String, _ to: String) -> String { "\(from):\(to)" }

  private func apply(_ change: WANChange) throws -> String {
    guard paths[Self.key(change.from, change.to)] != nil else {
      let known = paths.values.filter { $0.from < $0.to }.map { "\($0.from) \($0.to)" }.sorted()
      throw MeshError(
        "there is no link between \(change.from) and \(change.to); known are \(known.joined(separator: ", "))")
    }
    let both = [(change.from, change.to), (change.to, change.from)]
    for (from, to) in change.oneWay ? [both[0]] : both {
      paths[Self.key(from, to)]?.update { shape in
        if let roundTrip = change.roundTripNanoseconds { shape.delay = .nanoseconds(roundTrip / 2) }
        if let jitter = change.jitterNanoseconds { shape.jitter = .nanoseconds(jitter) }
        if let bandwidth = change.bandwidth { shape.bandwidth = bandwidth > 0 ? bandwidth : nil }
        if let cut = change.cut { shape.isCut = cut }
      }
    }
    for (from, to) in both {
      guard let proxy = proxies[Self.key(from, to)] else { continue }
      if change.reset { proxy.resetConnections() }
      if change.cut == false { proxy.pathHealed() }
    }
    return both.compactMap { from, to in
      paths[Self.key(from, to)].map { "\(from) to \(to): \(Self.describe($0.shape))" }
    }.joined(separator: "\n")
  }

  private static func describe(_ shape: WANShape) -> String {
    if shape.isCut { return "cut" }
    var parts = ["delay \(Humanize.fixed(Double(shape.delay.nanoseconds) / 1e6, digits: 1)) ms"]
    if shape.jitter > .zero {
      parts.append("jitter \(Humanize.fixed(Double(shape.jitter.nanoseconds) / 1e6, digits: 1)) ms")
    }
    parts.append(shape.bandwidth.map { "\(Humanize.fixed(Double($0) / 1e6, digits: 1)) MB/s" } ?? "no bandwidth limit")
    return parts.joined(separator: ", ")
  }
}

import Foundation
import GeoReplication
import Logging
import NIOCore
import NIOPosix
import Transport

/// Keeps a local mesh: emulates its WAN, starts and stops its regions, and answers what runs.
///
/// Regions are processes of their own. They outlive a supervisor that dies; the next one finds them by their process
/// ids and starts only what is missing.
public actor MeshSupervisor {
  private let directory: MeshDirectory
  private let topology: Topology
  private let executable: String
  private let group: any EventLoopGroup
  private let logger: Logger
  private let wan: WANEmulator
  private var state: MeshState
  /// Regions that this supervisor saw serving since they were started.
  private var served: Set<String> = []

  /// A supervisor for the mesh whose state file is in `directory`.
  public init(directory: MeshDirectory, group: any EventLoopGroup, logger: Logger) throws {
    self.directory = directory
    self.group = group
    self.logger = logger
    let state = try MeshStateFile(directory: directory).load()
    self.state = state
    topology = try TopologyFile.parse(state.topologyText, file: state.topologyFile)
    executable = try ChildProcess.ownExecutable()
    wan = WANEmulator(topology: topology, eventLoop: group.next(), logger: logger)
  }

  /// Starts the WAN, takes orders, and returns after an order to stop or when the task is cancelled.
  public func run() async throws {
    let known = Dictionary(
      state.proxies.map { (WANEmulator.key($0.from, $0.to), $0.port) }, uniquingKeysWith: { a, _ in a })
    let ports = try await wan.start(topology: topology, knownPorts: known)
    state.proxies = ports.sorted { $0.key < $1.key }.map { key, port in
      let ends = key.split(separator: ":").map(String.init)
      return MeshState.Proxy(from: ends[0], to: ends[1], port: port)
    }
    state.supervisor = ProcessInfo.processInfo.processIdentifier
    try save()

    let (stopped, stop) = AsyncStream<Void>.makeStream()
    let server = Task {
      try await ControlServer.serve(path: directory.controlSocket, group: group, ready: {}) { request, send in
        let answer = await self.answer(request) { await send(.progress($0)) }
        if case .down = request {
          await send(answer)
          stop.yield()
        }
        return answer
      }
    }
    for await _ in stopped { break }
    server.cancel()
    await wan.stop()
    try? FileManager.default.removeItem(atPath: directory.controlSocket)
  }

  /// Stops every region; used when the supervisor itself is told to end.
  public func stopRegions() async {
    for region in topology.regions {
      guard let pid = state.processes[region.name], ChildProcess.isRunning(pid) else { continue }
      kill(pid, SIGTERM)
    }
    let deadline = ContinuousClock.now + .seconds(10)
    for region in topology.regions {
      guard let pid = state.processes[region.name] else { continue }
      while ChildProcess.isRunning(pid), ContinuousClock.now < deadline {
        try? await Task.sleep(for: .milliseconds(20))
      }
      if ChildProcess.isRunning(pid) {
        logger.warning("region \(region.name) did not stop within 10 s and is killed")
        kill(pid, SIGKILL)
      }
      state.processes[region.name] = nil
    }
    try? save()
  }

  private func answer(_ request: ControlRequest, progress: @escaping @Sendable (String) async -> Void) async
    -> ControlResponse
  {
    do {
      switch request {
      case .up:
        try await up(progress)
        return .status(await status())
      case .status: return .status(await status())
      case .down:
        await stopRegions()
        return .done("stopped")
      case .wan(let change): return .done(try await wan.change(change))
      }
    } catch {
      logger.error("\(error)")
      return .failed("\(error)")
    }
  }

  // MARK: - Starting

  private func up(_ progress: @escaping @Sendable (String) async -> Void) async throws {
    let missing = topology.regions.filter { region in
      state.processes[region.name].map { !ChildProcess.isRunning($0) } ?? true
    }
    for region in missing { try await checkPorts(of: region) }
    try makeCertificates()
    var started: [String] = []
    do {
      for region in missing {
        await progress("starting region \(region.name)")
        try start(region)
        started.append(region.name)
      }
      try await waitUntilServing(progress)
      let ports = Dictionary(
        state.proxies.map { (WANEmulator.key($0.from, $0.to), $0.port) }, uniquingKeysWith: { a, _ in a })
      try await MeshProvisioner(
        topology: topology, directory: directory, group: group,
        proxyPort: { ports[WANEmulator.key($0, $1)] }
      ).provision()
      try writeContext()
      try await waitUntilLinked(progress)
    } catch {
      for name in started {
        if let pid = state.processes[name], ChildProcess.isRunning(pid) { kill(pid, SIGTERM) }
      }
      for name in started {
        guard let pid = state.processes.removeValue(forKey: name) else { continue }
        let deadline = ContinuousClock.now + .seconds(8)
        while ChildProcess.isRunning(pid), ContinuousClock.now < deadline {
          try? await Task.sleep(for: .milliseconds(20))
        }
        if ChildProcess.isRunning(pid) { kill(pid, SIGKILL) }
      }
      try? save()
      throw error
    }
  }

  private func checkPorts(of region: Topology.Region) async throws {
    let ports = [("pulsar", region.pulsarPort), ("pulsarTls", region.pulsarTLSPort), ("admin", region.adminPort)]
    for (key, port) in ports where try await !PortCheck.isFree(port, group: group) {
      throw MeshError(
        "port \(port) is in use; stop the program that listens on it, or set another `\(key)` for region \(region.name) in \(state.topologyFile)"
      )
    }
  }

  private func makeCertificates() throws {
    try FileManager.default.createDirectory(atPath: directory.certificates, withIntermediateDirectories: true)
    let authority = try CertificateAuthority.loadOrCreate(directory: directory.certificates)
    for region in topology.regions
    where !FileManager.default.fileExists(atPath: directory.certificate(region.name)) {
      try authority.issueFiles(
        name: region.name, directory: directory.certificates, commonName: region.name,
        dnsNames: ["localhost", region.name],
        ipAddresses: ["127.0.0.1"])
    }
  }

  private func start(_ region: Topology.Region) throws {
    try FileManager.default.createDirectory(
      atPath: directory.region(region.name), withIntermediateDirectories: true)
    var configuration = StandaloneConfiguration()
    configuration.clusterName = region.name
    configuration.dataDirectory = directory.region(region.name) + "/data"
    configuration.bindAddress = "127.0.0.1"
    configuration.advertisedAddress = "127.0.0.1"
    configuration.brokerServicePort = region.pulsarPort
    configuration.brokerServicePortTls = region.pulsarTLSPort
    configuration.webServicePort = region.adminPort
    configuration.tlsCertificateFilePath = directory.certificate(region.name)
    configuration.tlsKeyFilePath = directory.privateKey(region.name)
    configuration.tlsTrustCertsFilePath = directory.certificates + "/ca.crt"
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
    try encoder.encode(configuration).write(
      to: URL(fileURLWithPath: directory.regionConfiguration(region.name)), options: .atomic)
    let pid = try ChildProcess.start(
      executable, ["standalone", "--config", directory.regionConfiguration(region.name)],
      log: directory.regionLog(region.name))
    logger.info("region \(region.name) starts as process \(pid)")
    state.processes[region.name] = pid
    served.remove(region.name)
    try save()
  }

  private func waitUntilServing(_ progress: @escaping @Sendable (String) async -> Void) async throws {
    let probe = RegionProbe(group: group)
    for region in topology.regions {
      let deadline = ContinuousClock.now + .seconds(60)
      while await !probe.isServing(region) {
        guard let pid = state.processes[region.name], ChildProcess.isRunning(pid) else {
          throw MeshError(
            "region \(region.name) ended while it started; its log is \(directory.regionLog(region.name)): \(lastLogLine(region))"
          )
        }
        guard ContinuousClock.now < deadline else {
          throw MeshError(
            "region \(region.name) does not serve after 60 s; its log is \(directory.regionLog(region.name))")
        }
        try await Task.sleep(for: .milliseconds(50))
      }
      served.insert(region.name)
      await progress("region \(region.name) serves")
    }
  }

  private func waitUntilLinked(_ progress: @escaping @Sendable (String) async -> Void) async throws {
    let probe = RegionProbe(group: group)
    let deadline = ContinuousClock.now + .seconds(60)
    for region in topology.regions {
      for peer in replicationPeers(of: region.name) {
        var last = "unknown"
        while true {
          if let link = await probe.lag(region)?.links.first(where: { $0.to == peer }) {
            if link.connected { break }
            last = link.reason.isEmpty ? link.state.rawValue : link.reason
          }
          if await wan.shape(from: region.name, to: peer)?.isCut == true { break }
          guard ContinuousClock.now < deadline else {
            throw MeshError("the link from \(region.name) to \(peer) does not connect: \(last)")
          }
          try await Task.sleep(for: .milliseconds(50))
        }
        await progress("link \(region.name) to \(peer) is connected")
      }
    }
  }

  /// The linked regions with which a region shares a namespace.
  private func replicationPeers(of name: String) -> [String] {
    topology.peers(of: name).filter { peer in
      topology.namespaces.contains { $0.regions.contains(name) && $0.regions.contains(peer) }
    }
  }

  private func lastLogLine(_ region: Topology.Region) -> String {
    guard let bytes = FileManager.default.contents(atPath: directory.regionLog(region.name)) else { return "empty" }
    let text = String(decoding: bytes.suffix(4096), as: UTF8.self)
    return text.split(separator: "\n").last.map(String.init) ?? "empty"
  }

  // MARK: - Telling

  private func status() async -> MeshStatus {
    let probe = RegionProbe(group: group)
    var regions: [MeshStatus.Region] = []
    var links: [MeshStatus.Link] = []
    for region in topology.regions {
      let pid = state.processes[region.name].flatMap { ChildProcess.isRunning($0) ? $0 : nil }
      let isServing = pid == nil ? false : await probe.isServing(region)
      if isServing { served.insert(region.name) }
      let isSilent = pid != nil && !isServing && served.contains(region.name)
      regions.append(
        .init(
          name: region.name, pid: pid,
          state: pid == nil ? "stopped" : isServing ? "serving" : isSilent ? "silent" : "starting",
          pulsarUrl: "pulsar://127.0.0.1:\(region.pulsarPort)",
          pulsarTlsUrl: "pulsar+ssl://127.0.0.1:\(region.pulsarTLSPort)",
          adminUrl: "http://127.0.0.1:\(region.adminPort)"))
      let report = isServing ? await probe.lag(region) : nil
      for peer in topology.peers(of: region.name) {
        let link = report?.links.first { $0.to == peer }
        let forward = await wan.shape(from: region.name, to: peer) ?? WANShape()
        let backward = await wan.shape(from: peer, to: region.name) ?? WANShape()
        links.append(
          .init(
            from: region.name, to: peer, state: link?.state.rawValue ?? (report == nil ? "unknown" : "idle"),
            reason: link.flatMap { $0.reason.isEmpty ? nil : $0.reason },
            rttMs: Double((forward.delay + backward.delay).nanoseconds) / 1e6,
            jitterMs: Double(forward.jitter.nanoseconds) / 1e6, bandwidth: forward.bandwidth, isCut: forward.isCut))
      }
    }
    return MeshStatus(regions: regions, links: links)
  }

  private func writeContext() throws {
    let context = MeshContext(
      regions: topology.regions.map {
        .init(
          name: $0.name, adminUrl: "http://127.0.0.1:\($0.adminPort)", pulsarUrl: "pulsar://127.0.0.1:\($0.pulsarPort)")
      })
    try JSONEncoder().encode(context).write(to: URL(fileURLWithPath: directory.contextFile), options: .atomic)
  }

  private func save() throws {
    try MeshStateFile(directory: directory).save(state)
  }
}

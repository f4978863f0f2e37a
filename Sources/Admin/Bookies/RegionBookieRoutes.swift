import Broker
import Ledgers

/// What is known of all bookies of the region, whichever process is asked.
struct RegionBookieRoutes {
  private struct Local: Encodable {
    var bookies: [String]
  }

  private struct Space: Encodable {
    var free: Int64
    var total: Int64
  }

  private struct Sums: Encodable {
    var total_free: Int64
    var total: Int64
  }

  private enum SpaceOrSums: Encodable {
    case space(Space)
    case sums(Sums)

    func encode(to encoder: any Encoder) throws {
      switch self {
      case .space(let space): try space.encode(to: encoder)
      case .sums(let sums): try sums.encode(to: encoder)
      }
    }
  }

  private struct Cluster: Encodable {
    var auditorElected: Bool
    var auditorId: String
    var clusterUnderReplicated: Bool
    var ledgerReplicationEnabled: Bool
    var totalBookiesCount: Int
    var writableBookiesCount: Int
    var readonlyBookiesCount: Int
    var unavailableBookiesCount: Int
  }

  private struct Registered: Encodable {
    var bookieId: String
    /// `writable`, `read-only`, `draining` or `unavailable`.
    var state: String
    var host: String?
    var port: Int?
    var rack: String?
    var group: String?
    var freeDiskBytes: Int64?
    var totalDiskBytes: Int64?
    /// Whether it runs in the process that answers.
    var isLocal: Bool
  }

  private struct RackBody: Decodable {
    var bookie: String
    var rack: String?
    var group: String?
  }

  var services: BookieAdminServices

  func register(_ routes: inout RouteBuilder) {
    let services = services
    let base = "\(BookieAdminRoutes.base)/bookie"
    routes.get("/bookies") { _ in try .json(Local(bookies: services.sources.bookies.map(\.bookieID))) }
    routes.get("\(base)/list_bookies") { request in
      let type = request.query["type"] ?? "rw"
      guard ["rw", "ro", "all"].contains(type) else {
        throw AdminFailure(400, "\"\(type)\" is no type of bookie; there are rw, ro and all")
      }
      let showsHosts = try request.flag("print_hostnames")
      var found: [String: String?] = [:]
      for bookie in try await services.operations.bookies()
      where type == "all" || (type == "ro") == bookie.isReadOnly {
        found.updateValue(showsHosts ? bookie.host : nil, forKey: bookie.id)
      }
      return try .json(found)
    }
    routes.get("\(base)/list_bookie_info") { _ in
      let bookies = try await services.operations.bookies()
      guard !bookies.isEmpty else { throw AdminFailure(404, "No bookie is registered") }
      var answer: [String: SpaceOrSums] = [:]
      var sums = Sums(total_free: 0, total: 0)
      for bookie in bookies {
        let space = Space(free: bookie.freeDiskBytes ?? 0, total: bookie.totalDiskBytes ?? 0)
        sums.total_free += space.free
        sums.total += space.total
        answer[bookie.id] = .space(space)
      }
      answer["clusterInfo"] = .sums(sums)
      return try .json(answer)
    }
    routes.get("\(base)/cluster_info") { _ in
      let operations = try services.operations
      let bookies = try await operations.bookies()
      let status = try await operations.autoRecoveryStatus()
      let gone = try await operations.unavailableBookies().count
      let readOnly = bookies.count { $0.isReadOnly }
      return try .json(
        Cluster(
          auditorElected: status.auditor != nil, auditorId: status.auditor ?? "",
          clusterUnderReplicated: status.underReplicatedLedgers > 0, ledgerReplicationEnabled: status.isEnabled,
          totalBookiesCount: bookies.count + gone, writableBookiesCount: bookies.count - readOnly,
          readonlyBookiesCount: readOnly, unavailableBookiesCount: gone))
    }
    routes.get("\(base)/list_all") { _ in
      let operations = try services.operations
      let local = Set(services.sources.bookies.map(\.bookieID))
      var all = try await operations.bookies().map { bookie in
        Registered(
          bookieId: bookie.id,
          state: bookie.isDraining ? "draining" : bookie.isReadOnly ? "read-only" : "writable", host: bookie.host,
          port: bookie.port, rack: bookie.rack, group: bookie.group, freeDiskBytes: bookie.freeDiskBytes,
          totalDiskBytes: bookie.totalDiskBytes, isLocal: local.contains(bookie.id))
      }
      all += try await operations.unavailableBookies().map {
        Registered(bookieId: $0, state: "unavailable", isLocal: local.contains($0))
      }
      return try .json(all.sorted { $0.bookieId < $1.bookieId })
    }
    routes.put("\(base)/rack") { request in
      let body = try request.json(RackBody.self, "{\"bookie\": \"bookie-1\", \"rack\": \"/zone-a/rack-3\"}")
      try await services.operations.setRack(body.rack, group: body.group, of: body.bookie)
      return .noContent
    }
  }
}

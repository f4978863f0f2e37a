import Bookie
import Broker

/// What one bookie is told to do with what it stores: garbage, compaction, verification, flushes.
struct BookieMaintenanceRoutes {
  private struct Collection: Decodable {
    var forceMajor: BodyFlag?
    var forceMinor: BodyFlag?
    var majorCompactionThreshold: Double?
    var minorCompactionThreshold: Double?
    var majorCompactionMaxTimeMillis: Double?
    var minorCompactionMaxTimeMillis: Double?

    var setsLimits: Bool {
      majorCompactionThreshold != nil || minorCompactionThreshold != nil || majorCompactionMaxTimeMillis != nil
        || minorCompactionMaxTimeMillis != nil
    }
  }

  private struct Collected: Encodable {
    var removedLedgers: Int
    var refusedMassDeletes: Int64
    /// Ledgers that the search found, if it was refused: the number that `confirm` wants.
    var refusedLedgers: Int
  }

  private struct Details: Encodable {
    var forceCompacting: Bool
    var majorCompacting: Bool
    var minorCompacting: Bool
    var lastMajorCompactionTime: Int64
    var lastMinorCompactionTime: Int64
    var majorCompactionCounter: Int64
    var minorCompactionCounter: Int64
  }

  private struct Suspension: Decodable {
    var suspendMajor: BodyFlag?
    var suspendMinor: BodyFlag?
  }

  private struct Resumption: Decodable {
    var resumeMajor: BodyFlag?
    var resumeMinor: BodyFlag?
  }

  private struct Verification: Encodable {
    var running: Bool
    var completed: Int64
    var verifiedEntries: Int64
    var verifiedBytes: Int64
    var damageFound: Int64
    var damagedEntries: Int
  }

  var services: BookieAdminServices
  /// What stands before `/api/v1`.
  var prefix: String

  private var base: String { "\(prefix)\(BookieAdminRoutes.base)/bookie" }

  func register(_ routes: inout RouteBuilder) {
    registerCollection(&routes)
    registerSuspension(&routes)
    let services = services
    routes.get("\(base)/scrub") { request in
      let bookie = try services.bookie(request)
      return try .json(Self.verification(bookie, services.jobs))
    }
    routes.put("\(base)/scrub") { request in
      let bookie = try services.bookie(request)
      services.jobs.start(.verification, of: bookie, logger: services.logger) { await bookie.scrub() }
      return try .json(Self.verification(bookie, services.jobs))
    }
    routes.put("\(base)/leave_limbo") { request in
      let bookie = try services.bookie(request)
      guard bookie.statistics().isInLimbo else {
        throw AdminFailure(409, "Bookie \(bookie.bookieID) is not in limbo")
      }
      guard request.query["confirm"] == bookie.bookieID else {
        throw AdminFailure(
          400, "What the bookie may have lost, and no other has, would be lost for good: confirm=\(bookie.bookieID)")
      }
      let ledgers = bookie.statistics().ledgersInLimbo
      try await bookie.leaveLimbo()
      return try .json(["ledgers": ledgers])
    }
    routes.put("\(base)/flush") { request in
      let bookie = try services.bookie(request)
      await bookie.checkpoint()
      return try .json(bookie.lastLogMarks.mapValues { String($0) })
    }
  }

  private func registerCollection(_ routes: inout RouteBuilder) {
    let services = services
    routes.get("\(base)/gc") { request in
      let bookie = try services.bookie(request)
      return try .json(["is_in_force_gc": services.jobs.isCollecting(bookie) ? "true" : "false"])
    }
    routes.get("\(base)/gc_details") { request in
      let bookie = try services.bookie(request)
      let figures = bookie.statistics()
      let running = bookie.runningCompaction
      return try .json([
        Details(
          forceCompacting: CompactionKind.allCases.contains {
            services.jobs.isRunning(.compaction($0), of: bookie)
          }, majorCompacting: running == .major, minorCompacting: running == .minor,
          lastMajorCompactionTime: figures.lastMajorCompactionMs,
          lastMinorCompactionTime: figures.lastMinorCompactionMs, majorCompactionCounter: figures.majorCompactions,
          minorCompactionCounter: figures.minorCompactions)
      ])
    }
    routes.put("\(base)/gc") { request in
      let bookie = try services.bookie(request)
      let wish = request.isBodyEmpty ? nil : try request.json(Collection.self, "{\"forceMajor\": true}")
      guard wish?.setsLimits != true else {
        throw AdminFailure(
          400, "Thresholds and time limits are settings of the bookie; they cannot be given for one compaction")
      }
      var kinds: [CompactionKind] = []
      if wish.map({ $0.forceMajor?.isSet == true }) ?? true { kinds.append(.major) }
      if wish?.forceMinor?.isSet == true { kinds.append(.minor) }
      let suspended = bookie.suspendedCompactions
      if let wish, let kind = kinds.first(where: { suspended.contains($0) }), !wish.setsLimits {
        throw AdminFailure(409, "The \(kind.rawValue) compaction of \(bookie.bookieID) is suspended; resume it first")
      }
      let before = bookie.statistics().refusedMassDeletes
      let confirmed = try request.queryNumber("confirm")
      let isOverReplicated = try request.flag("over_replicated")
      let collect: @Sendable () async throws -> Int = {
        isOverReplicated
          ? try await bookie.collectOverReplicatedLedgers(confirmed: confirmed)
          : try await bookie.collectGarbage(confirmed: confirmed)
      }
      if try request.flag("wait") {
        let removed = try await services.jobs.run(.collection, of: bookie, collect)
        for kind in kinds where !suspended.contains(kind) { Self.compact(bookie, kind, services) }
        let figures = bookie.statistics()
        return try .json(
          Collected(
            removedLedgers: removed, refusedMassDeletes: figures.refusedMassDeletes - before,
            refusedLedgers: isOverReplicated ? figures.refusedOverReplicatedLedgers : figures.refusedLedgers))
      }
      services.jobs.start(.collection, of: bookie, logger: services.logger) { _ = try await collect() }
      for kind in kinds where !suspended.contains(kind) { Self.compact(bookie, kind, services) }
      return try .json("Triggered GC on BookieServer: \(bookie.bookieID)")
    }
  }

  private static func compact(_ bookie: Bookie, _ kind: CompactionKind, _ services: BookieAdminServices) {
    services.jobs.start(.compaction(kind), of: bookie, logger: services.logger) { await bookie.compact(kind) }
  }

  private func registerSuspension(_ routes: inout RouteBuilder) {
    let services = services
    routes.get("\(base)/gc/suspend_compaction") { request in
      let suspended = try services.bookie(request).suspendedCompactions
      return try .json([
        "isMajorGcSuspended": suspended.contains(.major) ? "true" : "false",
        "isMinorGcSuspended": suspended.contains(.minor) ? "true" : "false",
      ])
    }
    routes.put("\(base)/gc/suspend_compaction") { request in
      let bookie = try services.bookie(request)
      let wish = try request.json(Suspension.self, "{\"suspendMajor\": true, \"suspendMinor\": true}")
      let kinds = Self.kinds(major: wish.suspendMajor, minor: wish.suspendMinor)
      guard !kinds.isEmpty else { throw AdminFailure(400, "The body sets neither suspendMajor nor suspendMinor") }
      for kind in kinds { bookie.suspendCompaction(kind, true) }
      return try .json(Self.sentence("Suspend", kinds, bookie))
    }
    routes.put("\(base)/gc/resume_compaction") { request in
      let bookie = try services.bookie(request)
      let wish = try request.json(Resumption.self, "{\"resumeMajor\": true, \"resumeMinor\": true}")
      let kinds = Self.kinds(major: wish.resumeMajor, minor: wish.resumeMinor)
      guard !kinds.isEmpty else { throw AdminFailure(400, "The body sets neither resumeMajor nor resumeMinor") }
      for kind in kinds { bookie.suspendCompaction(kind, false) }
      return try .json(Self.sentence("Resume", kinds, bookie))
    }
  }

  private static func kinds(major: BodyFlag?, minor: BodyFlag?) -> [CompactionKind] {
    (major?.isSet == true ? [.major] : []) + (minor?.isSet == true ? [.minor] : [])
  }

  private static func sentence(_ verb: String, _ kinds: [CompactionKind], _ bookie: Bookie) -> String {
    kinds.map { "\(verb) \($0.rawValue)GC on BookieServer: \(bookie.bookieID)" }.joined(separator: ", ")
  }

  private static func verification(_ bookie: Bookie, _ jobs: BookieJobs) -> Verification {
    let figures = bookie.statistics()
    return Verification(
      running: jobs.isRunning(.verification, of: bookie), completed: figures.scrubs,
      verifiedEntries: figures.scrubbedEntries, verifiedBytes: figures.scrubbedBytes, damageFound: figures.scrubDamage,
      damagedEntries: figures.damagedEntries)
  }
}

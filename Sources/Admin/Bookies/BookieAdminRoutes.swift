/// BookKeeper's admin API, `/api/v1`, for the bookies of a process and the ledgers of the region, with what is our own.
struct BookieAdminRoutes {
  static let base = "/api/v1"

  var services: BookieAdminServices

  func register(_ routes: inout RouteBuilder) {
    // A process with one bookie is asked without its name, as in BookKeeper.
    for prefix in ["", "/bookies/:bookie"] {
      BookieRoutes(services: services, prefix: prefix).register(&routes)
      BookieMaintenanceRoutes(services: services, prefix: prefix).register(&routes)
    }
    RegionBookieRoutes(services: services).register(&routes)
    LedgerRoutes(services: services).register(&routes)
    LedgerOperationRoutes(services: services).register(&routes)
    AutoRecoveryRoutes(services: services).register(&routes)
    register(&routes, notPossible: "bookie/expand_storage", "The directories of a bookie are given when it is started")
    register(&routes, notPossible: "bookie/entry_location_compact", "The location index compacts itself")
    register(
      &routes, notPossible: "autorecovery/lost_bookie_recovery_delay",
      "The delay is a setting of the processes that run auto-recovery, lostBookieRecoveryDelay")
  }

  /// What BookKeeper has and has no meaning here says so.
  private func register(_ routes: inout RouteBuilder, notPossible path: String, _ reason: String) {
    let refuse: RouteBuilder.Handler = { _ in throw AdminFailure(501, reason) }
    routes.get("\(Self.base)/\(path)", refuse)
    routes.put("\(Self.base)/\(path)", refuse)
  }
}

/// A flag in a body: BookKeeper's examples write it as a text, its code as a truth value.
struct BodyFlag: Decodable {
  var isSet: Bool

  init(from decoder: any Decoder) throws {
    let container = try decoder.singleValueContainer()
    if let value = try? container.decode(Bool.self) {
      isSet = value
      return
    }
    switch try container.decode(String.self) {
    case "true": isSet = true
    case "false": isSet = false
    case let other:
      throw DecodingError.dataCorruptedError(in: container, debugDescription: "\"\(other)\" is neither true nor false")
    }
  }
}

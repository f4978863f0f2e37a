import ArgumentParser

/// `meridian tenants`: manage tenants.
struct TenantsCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "tenants", abstract: "Manage tenants.",
    discussion: "Example: meridian tenants create demo --allowed-clusters us,eu",
    subcommands: [
      List.self, Get.self, Create.self, Update.self, Delete.self,
    ])

  struct List: AdminList {
    static let configuration = CommandConfiguration.verb("list", "List the tenants.", example: "tenants list")
    @OptionGroup var target: RegionTarget

    var title: String { "TENANT" }
    var call: AdminCall { .get("tenants") }
  }

  struct Get: AdminShow {
    static let configuration = CommandConfiguration.verb("get", "Show a tenant.", example: "tenants get demo")
    @OptionGroup var target: TenantTarget

    var call: AdminCall { .get(target.path) }
  }

  /// Who administers a tenant, and where it may be.
  struct Rules: ParsableArguments {
    @Option(name: [.customShort("r"), .customLong("admin-roles")], help: "Roles that administer it, with commas.")
    var roles: String?
    @Option(name: [.customShort("c"), .customLong("allowed-clusters")], help: "Regions that may hold it, with commas.")
    var clusters: String?
  }

  struct Create: AdminVerb {
    static let configuration = CommandConfiguration.verb(
      "create", "Create a tenant; without regions it may use every one that is known.",
      example: "tenants create demo --allowed-clusters us,eu")
    @OptionGroup var target: TenantTarget
    @OptionGroup var rules: Rules

    func run(_ session: AdminSession) async throws {
      let known = rules.clusters == nil ? try await session.send(.get("clusters")) : nil
      let allowed = known ?? Arguments.list(rules.clusters)
      try await session.send(
        .put(target.path, .object(["adminRoles": Arguments.list(rules.roles), "allowedClusters": allowed])))
    }
  }

  struct Update: AdminVerb {
    static let configuration = CommandConfiguration.verb(
      "update", "Change a tenant.", example: "tenants update demo --allowed-clusters us,eu,ap")
    @OptionGroup var target: TenantTarget
    @OptionGroup var rules: Rules

    func run(_ session: AdminSession) async throws {
      var fields = try await session.send(.get(target.path)).object
      if let roles = rules.roles { fields["adminRoles"] = Arguments.list(roles) }
      if let clusters = rules.clusters { fields["allowedClusters"] = Arguments.list(clusters) }
      try await session.send(.post(target.path, .object(fields)))
    }
  }

  struct Delete: AdminChange {
    static let configuration = CommandConfiguration.verb(
      "delete", "Delete a tenant that has no namespaces.", example: "tenants delete demo")
    @OptionGroup var target: TenantTarget
    @Flag(name: .shortAndLong, help: "Delete its namespaces too.") var force = false

    func call() -> AdminCall { .delete(target.path, query: Arguments.force(force)) }
  }
}

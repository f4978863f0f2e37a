import ArgumentParser

/// `meridian tenants`: manage tenants.
struct TenantsCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "tenants", abstract: "Manage tenants.",
    discussion: "Example: meridian tenants create demo --allowed-clusters us,eu",
    subcommands: [
      List.self, Get.self, Create.self, Update.self, Delete.self,
    ])

  struct List: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "List the tenants.", discussion: "Example: meridian tenants list")
    @OptionGroup var options: AdminOptions

    func run() async throws {
      try await options.withSession { try await $0.printNames("tenants", json: options.json, title: "TENANT") }
    }
  }

  struct Get: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Show a tenant.", discussion: "Example: meridian tenants get demo")
    @OptionGroup var options: AdminOptions
    @Argument(help: "Name of the tenant.") var tenant: String

    func run() async throws {
      try await options.withSession {
        try await $0.printObject("tenants/\(AdminSession.escape(tenant))", json: options.json)
      }
    }
  }

  struct Create: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Create a tenant; without regions it may use every one that is known.",
      discussion: "Example: meridian tenants create demo --allowed-clusters us,eu")
    @OptionGroup var options: AdminOptions
    @Option(name: [.customShort("r"), .customLong("admin-roles")], help: "Roles that administer it, with commas.")
    var roles: String?
    @Option(name: [.customShort("c"), .customLong("allowed-clusters")], help: "Regions that may hold it, with commas.")
    var clusters: String?
    @Argument(help: "Name of the tenant.") var tenant: String

    func run() async throws {
      try await options.withSession {
        let known = clusters == nil ? try await $0.get("clusters") : nil
        let allowed = known ?? Arguments.list(clusters)
        try await $0.send(
          .put, "tenants/\(AdminSession.escape(tenant))",
          body: .object(["adminRoles": Arguments.list(roles), "allowedClusters": allowed]))
      }
    }
  }

  struct Update: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Change a tenant.", discussion: "Example: meridian tenants update demo --allowed-clusters us,eu,ap")
    @OptionGroup var options: AdminOptions
    @Option(name: [.customShort("r"), .customLong("admin-roles")], help: "Roles that administer it, with commas.")
    var roles: String?
    @Option(name: [.customShort("c"), .customLong("allowed-clusters")], help: "Regions that may hold it, with commas.")
    var clusters: String?
    @Argument(help: "Name of the tenant.") var tenant: String

    func run() async throws {
      try await options.withSession {
        let path = "tenants/\(AdminSession.escape(tenant))"
        var fields = try await $0.get(path).object
        if let roles { fields["adminRoles"] = Arguments.list(roles) }
        if let clusters { fields["allowedClusters"] = Arguments.list(clusters) }
        try await $0.send(.post, path, body: .object(fields))
      }
    }
  }

  struct Delete: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Delete a tenant that has no namespaces.", discussion: "Example: meridian tenants delete demo")
    @OptionGroup var options: AdminOptions
    @Flag(name: .shortAndLong, help: "Delete its namespaces too.") var force = false
    @Argument(help: "Name of the tenant.") var tenant: String

    func run() async throws {
      try await options.withSession {
        try await $0.send(.delete, "tenants/\(AdminSession.escape(tenant))", query: Arguments.force(force))
      }
    }
  }
}

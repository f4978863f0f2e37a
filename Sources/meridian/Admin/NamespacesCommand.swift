import ArgumentParser

/// `meridian namespaces`: manage namespaces and their policies.
struct NamespacesCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "namespaces", abstract: "Manage namespaces and their policies.",
    discussion: "Example: meridian namespaces set-clusters demo/orders --clusters us,eu",
    subcommands: [
      List.self, Policies.self, Create.self, Delete.self, Topics.self, Unload.self, GetClusters.self,
      SetClusters.self, GetAllowedClusters.self, SetAllowedClusters.self, GetResidencyDeny.self, SetResidencyDeny.self,
    ] + NamespacePolicyVerbs.all + PolicyCommands<NamespaceTarget>.all)

  struct List: AdminList {
    static let configuration = CommandConfiguration.verb(
      "list", "List the namespaces of a tenant.", example: "namespaces list demo")
    @OptionGroup var target: TenantTarget

    var title: String { "NAMESPACE" }
    var call: AdminCall { .get("namespaces/\(AdminSession.escape(target.tenant))") }
  }

  struct Policies: AdminShow {
    static let configuration = CommandConfiguration.verb(
      "policies", "Show the policies of a namespace.", example: "namespaces policies demo/orders", aliases: ["get"])
    @OptionGroup var target: NamespaceTarget

    var call: AdminCall { .get(target.path) }
  }

  struct Create: AdminChange {
    static let configuration = CommandConfiguration.verb(
      "create", "Create a namespace.", example: "namespaces create demo/orders --clusters us,eu")
    @OptionGroup var target: NamespaceTarget
    @Option(name: .shortAndLong, help: "Number of bundles.") var bundles: Int?
    @Option(name: .shortAndLong, help: "Regions that hold it, with commas.") var clusters: String?
    @Option(
      name: .customLong("allowed-clusters"),
      help: "Regions whose messages it takes besides, with commas; without it, every region that proves to be one.")
    var allowedClusters: String?
    @Option(
      name: .customLong("replication-start-at"),
      help: "Where a new link begins in topics that have data: earliest or latest.")
    var replicationStartAt: String?

    func call() -> AdminCall {
      var fields: [String: JSONValue] = [:]
      if let bundles { fields["bundles"] = .object(["numBundles": .integer(Int64(bundles))]) }
      if clusters != nil { fields["replication_clusters"] = Arguments.list(clusters) }
      if allowedClusters != nil { fields["allowed_clusters"] = Arguments.list(allowedClusters) }
      if let replicationStartAt { fields["replicationStartAt"] = .string(replicationStartAt) }
      return .put(target.path, .object(fields))
    }
  }

  struct Delete: AdminChange {
    static let configuration = CommandConfiguration.verb(
      "delete", "Delete a namespace that has no topics.", example: "namespaces delete demo/orders")
    @OptionGroup var target: NamespaceTarget
    @Flag(name: .shortAndLong, help: "Delete its topics too.") var force = false

    func call() -> AdminCall { .delete(target.path, query: Arguments.force(force)) }
  }

  struct Topics: AdminList {
    static let configuration = CommandConfiguration.verb(
      "topics", "List the topics of a namespace.", example: "namespaces topics demo/orders")
    @OptionGroup var target: NamespaceTarget
    @Option(help: "PERSISTENT, NON_PERSISTENT or ALL.") var mode = "PERSISTENT"

    var title: String { "TOPIC" }
    var call: AdminCall { .get("\(target.path)/topics", query: [("mode", mode)]) }
  }

  struct Unload: AdminChange {
    static let configuration = CommandConfiguration.verb(
      "unload", "Unload every topic of a namespace; clients reconnect.", example: "namespaces unload demo/orders")
    @OptionGroup var target: NamespaceTarget

    func call() -> AdminCall { .put("\(target.path)/unload") }
  }

  struct GetClusters: AdminList {
    static let configuration = CommandConfiguration.verb(
      "get-clusters", "Show the regions that a namespace is replicated to.",
      example: "namespaces get-clusters demo/orders")
    @OptionGroup var target: NamespaceTarget

    var title: String { "REGION" }
    var call: AdminCall { .get("\(target.path)/replication") }
  }

  struct SetClusters: AdminChange {
    static let configuration = CommandConfiguration.verb(
      "set-clusters", "Set the regions that a namespace is replicated to.",
      example: "namespaces set-clusters demo/orders --clusters us,eu")
    @OptionGroup var target: NamespaceTarget
    @Option(name: .shortAndLong, help: "Regions, with commas.") var clusters: String

    func call() -> AdminCall { .post("\(target.path)/replication", Arguments.list(clusters)) }
  }

  struct GetAllowedClusters: AdminList {
    static let configuration = CommandConfiguration.verb(
      "get-allowed-clusters", "Show the regions that a namespace may be in; none: every region.",
      example: "namespaces get-allowed-clusters demo/orders")
    @OptionGroup var target: NamespaceTarget

    var title: String { "REGION" }
    var call: AdminCall { .get("\(target.path)/allowedClusters") }
  }

  struct SetAllowedClusters: AdminChange {
    static let configuration = CommandConfiguration.verb(
      "set-allowed-clusters", "Set the regions that a namespace may be in, and takes messages from.",
      example: "namespaces set-allowed-clusters demo/orders --clusters us,eu")
    @OptionGroup var target: NamespaceTarget
    @Option(name: .shortAndLong, help: "Regions, with commas.") var clusters: String

    func call() -> AdminCall { .post("\(target.path)/allowedClusters", Arguments.list(clusters)) }
  }

  struct GetResidencyDeny: AdminList {
    static let configuration = CommandConfiguration.verb(
      "get-residency-deny", "Show the regions that the messages of a namespace must not enter.",
      example: "namespaces get-residency-deny demo/orders")
    @OptionGroup var target: NamespaceTarget

    var title: String { "REGION" }
    var call: AdminCall { .get("\(target.path)/residencyDeny") }
  }

  struct SetResidencyDeny: AdminChange {
    static let configuration = CommandConfiguration.verb(
      "set-residency-deny",
      "Set the regions that the messages of a namespace must not enter, whatever else names them.",
      example: "namespaces set-residency-deny demo/orders --clusters eu")
    @OptionGroup var target: NamespaceTarget
    @Option(name: .shortAndLong, help: "Regions, with commas; empty for none.") var clusters: String

    func call() -> AdminCall { .post("\(target.path)/residencyDeny", Arguments.list(clusters)) }
  }
}

import ArgumentParser

/// `meridian namespaces`: manage namespaces and their policies.
struct NamespacesCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "namespaces", abstract: "Manage namespaces and their policies.",
    discussion: "Example: meridian namespaces set-clusters demo/orders --clusters us,eu",
    subcommands: [
      List.self, Policies.self, Create.self, Delete.self, Topics.self, Unload.self, GetClusters.self,
      SetClusters.self, GetDeduplication.self, SetDeduplication.self, RemoveDeduplication.self, GetMessageTTL.self,
      SetMessageTTL.self, RemoveMessageTTL.self, GetRetention.self, SetRetention.self, RemoveRetention.self,
      GetMaxProducers.self, SetMaxProducers.self, RemoveMaxProducers.self, GetSchemaCompatibility.self,
      SetSchemaCompatibility.self, GetBacklogQuotas.self, SetBacklogQuota.self, RemoveBacklogQuota.self,
    ] + PolicyCommands<NamespaceArgument>.all)

  struct List: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "List the namespaces of a tenant.", discussion: "Example: meridian namespaces list demo")
    @OptionGroup var options: AdminOptions
    @Argument(help: "Name of the tenant.") var tenant: String

    func run() async throws {
      try await options.withSession {
        try await $0.printNames(
          "namespaces/\(AdminSession.escape(tenant))", json: options.json, title: "NAMESPACE")
      }
    }
  }

  struct Policies: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Show the policies of a namespace.",
      discussion: "Example: meridian namespaces policies demo/orders",
      aliases: ["get"])
    @OptionGroup var options: AdminOptions
    @Argument(help: "Namespace, as tenant/namespace.") var namespace: NamespaceArgument

    func run() async throws {
      try await options.withSession { try await $0.printObject("namespaces/\(namespace.path)", json: options.json) }
    }
  }

  struct Create: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Create a namespace.", discussion: "Example: meridian namespaces create demo/orders --clusters us,eu")
    @OptionGroup var options: AdminOptions
    @Option(name: .shortAndLong, help: "Number of bundles.") var bundles: Int?
    @Option(name: .shortAndLong, help: "Regions that hold it, with commas.") var clusters: String?
    @Option(
      name: .customLong("replication-start-at"),
      help: "Where a new link begins in topics that have data: earliest or latest.")
    var replicationStartAt: String?
    @Argument(help: "Namespace, as tenant/namespace.") var namespace: NamespaceArgument

    func run() async throws {
      try await options.withSession {
        var fields: [String: JSONValue] = [:]
        if let bundles { fields["bundles"] = .object(["numBundles": .integer(Int64(bundles))]) }
        if clusters != nil { fields["replication_clusters"] = Arguments.list(clusters) }
        if let replicationStartAt { fields["replicationStartAt"] = .string(replicationStartAt) }
        try await $0.send(.put, "namespaces/\(namespace.path)", body: .object(fields))
      }
    }
  }

  struct Delete: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Delete a namespace that has no topics.",
      discussion: "Example: meridian namespaces delete demo/orders")
    @OptionGroup var options: AdminOptions
    @Flag(name: .shortAndLong, help: "Delete its topics too.") var force = false
    @Argument(help: "Namespace, as tenant/namespace.") var namespace: NamespaceArgument

    func run() async throws {
      try await options.withSession {
        try await $0.send(.delete, "namespaces/\(namespace.path)", query: Arguments.force(force))
      }
    }
  }

  struct Topics: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "List the topics of a namespace.", discussion: "Example: meridian namespaces topics demo/orders")
    @OptionGroup var options: AdminOptions
    @Option(help: "PERSISTENT, NON_PERSISTENT or ALL.") var mode = "PERSISTENT"
    @Argument(help: "Namespace, as tenant/namespace.") var namespace: NamespaceArgument

    func run() async throws {
      try await options.withSession {
        try await $0.printNames(
          "namespaces/\(namespace.path)/topics", query: [("mode", mode)], json: options.json, title: "TOPIC")
      }
    }
  }

  struct Unload: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Unload every topic of a namespace; clients reconnect.",
      discussion: "Example: meridian namespaces unload demo/orders")
    @OptionGroup var options: AdminOptions
    @Argument(help: "Namespace, as tenant/namespace.") var namespace: NamespaceArgument

    func run() async throws {
      try await options.withSession { try await $0.send(.put, "namespaces/\(namespace.path)/unload") }
    }
  }

  struct GetClusters: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      commandName: "get-clusters",
      abstract: "Show the regions that a namespace is replicated to.",
      discussion: "Example: meridian namespaces get-clusters demo/orders")
    @OptionGroup var options: AdminOptions
    @Argument(help: "Namespace, as tenant/namespace.") var namespace: NamespaceArgument

    func run() async throws {
      try await options.withSession {
        try await $0.printNames("namespaces/\(namespace.path)/replication", json: options.json, title: "REGION")
      }
    }
  }

  struct SetClusters: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      commandName: "set-clusters",
      abstract: "Set the regions that a namespace is replicated to.",
      discussion: "Example: meridian namespaces set-clusters demo/orders --clusters us,eu")
    @OptionGroup var options: AdminOptions
    @Option(name: .shortAndLong, help: "Regions, with commas.") var clusters: String
    @Argument(help: "Namespace, as tenant/namespace.") var namespace: NamespaceArgument

    func run() async throws {
      try await options.withSession {
        try await $0.send(.post, "namespaces/\(namespace.path)/replication", body: Arguments.list(clusters))
      }
    }
  }

  struct GetDeduplication: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      commandName: "get-deduplication",
      abstract: "Show whether duplicates of producers are dropped.",
      discussion: "Example: meridian namespaces get-deduplication demo/orders")
    @OptionGroup var options: AdminOptions
    @Argument(help: "Namespace, as tenant/namespace.") var namespace: NamespaceArgument

    func run() async throws {
      try await options.withSession {
        try await $0.printObject("namespaces/\(namespace.path)/deduplication", json: options.json)
      }
    }
  }

  struct SetDeduplication: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      commandName: "set-deduplication",
      abstract: "Set whether duplicates of producers are dropped.",
      discussion: "Example: meridian namespaces set-deduplication demo/orders --enable")
    @OptionGroup var options: AdminOptions
    @Flag(name: [.customShort("e"), .customLong("enable")], help: "Drop duplicates.") var enable = false
    @Flag(name: [.customShort("d"), .customLong("disable")], help: "Keep duplicates.") var disable = false
    @Argument(help: "Namespace, as tenant/namespace.") var namespace: NamespaceArgument

    func validate() throws {
      guard enable != disable else { throw ValidationError("give either --enable or --disable") }
    }

    func run() async throws {
      try await options.withSession {
        try await $0.send(.post, "namespaces/\(namespace.path)/deduplication", body: .bool(enable))
      }
    }
  }

  struct RemoveDeduplication: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      commandName: "remove-deduplication",
      abstract: "Leave whether duplicates of producers are dropped to the broker.",
      discussion: "Example: meridian namespaces remove-deduplication demo/orders")
    @OptionGroup var options: AdminOptions
    @Argument(help: "Namespace, as tenant/namespace.") var namespace: NamespaceArgument

    func run() async throws {
      try await options.withSession { try await $0.send(.delete, "namespaces/\(namespace.path)/deduplication") }
    }
  }

  struct GetMessageTTL: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      commandName: "get-message-ttl",
      abstract: "Show how long unacknowledged messages are kept.",
      discussion: "Example: meridian namespaces get-message-ttl demo/orders")
    @OptionGroup var options: AdminOptions
    @Argument(help: "Namespace, as tenant/namespace.") var namespace: NamespaceArgument

    func run() async throws {
      try await options.withSession {
        try await $0.printObject("namespaces/\(namespace.path)/messageTTL", json: options.json)
      }
    }
  }

  struct SetMessageTTL: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      commandName: "set-message-ttl",
      abstract: "Set how long unacknowledged messages are kept.",
      discussion: "Example: meridian namespaces set-message-ttl demo/orders --ttl 3600")
    @OptionGroup var options: AdminOptions
    @Option(name: [.customLong("messageTTL"), .customLong("ttl")], help: "Seconds; 0 turns it off.") var seconds: Int
    @Argument(help: "Namespace, as tenant/namespace.") var namespace: NamespaceArgument

    func run() async throws {
      try await options.withSession {
        try await $0.send(.post, "namespaces/\(namespace.path)/messageTTL", body: .integer(Int64(seconds)))
      }
    }
  }

  struct RemoveMessageTTL: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      commandName: "remove-message-ttl",
      abstract: "Leave how long unacknowledged messages are kept to the broker.",
      discussion: "Example: meridian namespaces remove-message-ttl demo/orders")
    @OptionGroup var options: AdminOptions
    @Argument(help: "Namespace, as tenant/namespace.") var namespace: NamespaceArgument

    func run() async throws {
      try await options.withSession { try await $0.send(.delete, "namespaces/\(namespace.path)/messageTTL") }
    }
  }

  struct GetRetention: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      commandName: "get-retention",
      abstract: "Show how long acknowledged messages are kept.",
      discussion: "Example: meridian namespaces get-retention demo/orders")
    @OptionGroup var options: AdminOptions
    @Argument(help: "Namespace, as tenant/namespace.") var namespace: NamespaceArgument

    func run() async throws {
      try await options.withSession {
        try await $0.printObject("namespaces/\(namespace.path)/retention", json: options.json)
      }
    }
  }

  struct SetRetention: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      commandName: "set-retention",
      abstract: "Set how long acknowledged messages are kept.",
      discussion: "Example: meridian namespaces set-retention demo/orders --time 60 --size 1024")
    @OptionGroup var options: AdminOptions
    @Option(name: [.customShort("t"), .customLong("time")], help: "Minutes; -1 keeps for ever.") var minutes: Int
    @Option(name: [.customShort("s"), .customLong("size")], help: "MiB; -1 is no limit.") var mebibytes: Int
    @Argument(help: "Namespace, as tenant/namespace.") var namespace: NamespaceArgument

    func run() async throws {
      try await options.withSession {
        try await $0.send(
          .post, "namespaces/\(namespace.path)/retention",
          body: .object([
            "retentionTimeInMinutes": .integer(Int64(minutes)), "retentionSizeInMB": .integer(Int64(mebibytes)),
          ]))
      }
    }
  }

  struct RemoveRetention: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      commandName: "remove-retention",
      abstract: "Leave how long acknowledged messages are kept to the broker.",
      discussion: "Example: meridian namespaces remove-retention demo/orders")
    @OptionGroup var options: AdminOptions
    @Argument(help: "Namespace, as tenant/namespace.") var namespace: NamespaceArgument

    func run() async throws {
      try await options.withSession { try await $0.send(.delete, "namespaces/\(namespace.path)/retention") }
    }
  }

  struct GetMaxProducers: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      commandName: "get-max-producers-per-topic",
      abstract: "Show how many producers a topic takes.",
      discussion: "Example: meridian namespaces get-max-producers-per-topic demo/orders")
    @OptionGroup var options: AdminOptions
    @Argument(help: "Namespace, as tenant/namespace.") var namespace: NamespaceArgument

    func run() async throws {
      try await options.withSession {
        try await $0.printObject("namespaces/\(namespace.path)/maxProducersPerTopic", json: options.json)
      }
    }
  }

  struct SetMaxProducers: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      commandName: "set-max-producers-per-topic",
      abstract: "Set how many producers a topic takes.",
      discussion: "Example: meridian namespaces set-max-producers-per-topic demo/orders -p 100")
    @OptionGroup var options: AdminOptions
    @Option(name: [.customShort("p"), .customLong("max-producers-per-topic")], help: "Producers; 0 is no limit.")
    var count: Int
    @Argument(help: "Namespace, as tenant/namespace.") var namespace: NamespaceArgument

    func run() async throws {
      try await options.withSession {
        try await $0.send(.post, "namespaces/\(namespace.path)/maxProducersPerTopic", body: .integer(Int64(count)))
      }
    }
  }

  struct RemoveMaxProducers: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      commandName: "remove-max-producers-per-topic",
      abstract: "Leave how many producers a topic takes to the broker.",
      discussion: "Example: meridian namespaces remove-max-producers-per-topic demo/orders")
    @OptionGroup var options: AdminOptions
    @Argument(help: "Namespace, as tenant/namespace.") var namespace: NamespaceArgument

    func run() async throws {
      try await options.withSession { try await $0.send(.delete, "namespaces/\(namespace.path)/maxProducersPerTopic") }
    }
  }

  struct GetSchemaCompatibility: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      commandName: "get-schema-compatibility-strategy",
      abstract: "Show which schema changes are accepted.",
      discussion: "Example: meridian namespaces get-schema-compatibility-strategy demo/orders")
    @OptionGroup var options: AdminOptions
    @Argument(help: "Namespace, as tenant/namespace.") var namespace: NamespaceArgument

    func run() async throws {
      try await options.withSession {
        try await $0.printObject("namespaces/\(namespace.path)/schemaCompatibilityStrategy", json: options.json)
      }
    }
  }

  struct SetSchemaCompatibility: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      commandName: "set-schema-compatibility-strategy",
      abstract: "Set which schema changes are accepted.",
      discussion: "Example: meridian namespaces set-schema-compatibility-strategy demo/orders -c BACKWARD")
    @OptionGroup var options: AdminOptions
    @Option(
      name: [.customShort("c"), .customLong("compatibility")], help: "FULL, BACKWARD, FORWARD, ALWAYS_COMPATIBLE, ...")
    var strategy: String
    @Argument(help: "Namespace, as tenant/namespace.") var namespace: NamespaceArgument

    func run() async throws {
      try await options.withSession {
        try await $0.send(.put, "namespaces/\(namespace.path)/schemaCompatibilityStrategy", body: .string(strategy))
      }
    }
  }

  struct GetBacklogQuotas: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      commandName: "get-backlog-quotas",
      abstract: "Show the backlog quotas of a namespace.",
      discussion: "Example: meridian namespaces get-backlog-quotas demo/orders")
    @OptionGroup var options: AdminOptions
    @Argument(help: "Namespace, as tenant/namespace.") var namespace: NamespaceArgument

    func run() async throws {
      try await options.withSession {
        try await $0.printObject("namespaces/\(namespace.path)/backlogQuotaMap", json: options.json)
      }
    }
  }

  struct SetBacklogQuota: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      commandName: "set-backlog-quota",
      abstract: "Set a backlog quota of a namespace.",
      discussion:
        "Example: meridian namespaces set-backlog-quota demo/orders --limit 10000000 --policy producer_exception")
    @OptionGroup var options: AdminOptions
    @Option(name: .shortAndLong, help: "Bytes.") var limit: Int64 = -1
    @Option(name: .customLong("limitTime"), help: "Seconds.") var limitTime: Int64 = -1
    @Option(name: .shortAndLong, help: "producer_request_hold, producer_exception or consumer_backlog_eviction.")
    var policy: String
    @Option(name: .shortAndLong, help: "destination_storage or message_age.") var type = "destination_storage"
    @Argument(help: "Namespace, as tenant/namespace.") var namespace: NamespaceArgument

    func run() async throws {
      try await options.withSession {
        try await $0.send(
          .post, "namespaces/\(namespace.path)/backlogQuota", query: [("backlogQuotaType", type)],
          body: .object(["limitSize": .integer(limit), "limitTime": .integer(limitTime), "policy": .string(policy)]))
      }
    }
  }

  struct RemoveBacklogQuota: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      commandName: "remove-backlog-quota",
      abstract: "Remove a backlog quota of a namespace.",
      discussion: "Example: meridian namespaces remove-backlog-quota demo/orders")
    @OptionGroup var options: AdminOptions
    @Option(name: .shortAndLong, help: "destination_storage or message_age.") var type = "destination_storage"
    @Argument(help: "Namespace, as tenant/namespace.") var namespace: NamespaceArgument

    func run() async throws {
      try await options.withSession {
        try await $0.send(
          .delete, "namespaces/\(namespace.path)/backlogQuota", query: [("backlogQuotaType", type)])
      }
    }
  }
}

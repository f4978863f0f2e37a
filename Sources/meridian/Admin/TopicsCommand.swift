import ArgumentParser

/// `meridian topics`: manage topics.
struct TopicsCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "topics", abstract: "Manage topics.",
    discussion: "Example: meridian topics stats demo/orders/created",
    subcommands: [
      List.self, ListPartitioned.self, Create.self, CreatePartitioned.self, UpdatePartitioned.self,
      Partitions.self, Delete.self, DeletePartitioned.self, Stats.self, PartitionedStats.self, InternalStats.self,
      Unload.self, Terminate.self, LastMessageID.self, GetClusters.self, SetClusters.self, RemoveClusters.self,
    ] + PolicyCommands<TopicArgument>.all)

  struct List: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "List the topics of a namespace.", discussion: "Example: meridian topics list demo/orders")
    @OptionGroup var options: AdminOptions
    @Argument(help: "Namespace, as tenant/namespace.") var namespace: NamespaceArgument

    func run() async throws {
      try await options.withSession {
        try await $0.printNames("persistent/\(namespace.path)", json: options.json, title: "TOPIC")
      }
    }
  }

  struct ListPartitioned: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      commandName: "list-partitioned-topics",
      abstract: "List the partitioned topics of a namespace.",
      discussion: "Example: meridian topics list-partitioned-topics demo/orders")
    @OptionGroup var options: AdminOptions
    @Argument(help: "Namespace, as tenant/namespace.") var namespace: NamespaceArgument

    func run() async throws {
      try await options.withSession {
        try await $0.printNames(
          "persistent/\(namespace.path)/partitioned", json: options.json, title: "TOPIC")
      }
    }
  }

  struct Create: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Create a topic without partitions.",
      discussion: "Example: meridian topics create demo/orders/created")
    @OptionGroup var options: AdminOptions
    @Argument(help: "Topic.") var topic: TopicArgument

    func run() async throws {
      try await options.withSession { try await $0.send(.put, topic.path) }
    }
  }

  struct CreatePartitioned: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      commandName: "create-partitioned-topic",
      abstract: "Create a partitioned topic.",
      discussion: "Example: meridian topics create-partitioned-topic demo/orders/created --partitions 4")
    @OptionGroup var options: AdminOptions
    @Option(name: .shortAndLong, help: "Number of partitions.") var partitions: Int
    @Argument(help: "Topic.") var topic: TopicArgument

    func run() async throws {
      try await options.withSession {
        try await $0.send(
          .put, "\(topic.path)/partitions", body: .integer(Int64(partitions)))
      }
    }
  }

  struct UpdatePartitioned: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      commandName: "update-partitioned-topic",
      abstract: "Add partitions to a topic.",
      discussion: "Example: meridian topics update-partitioned-topic demo/orders/created --partitions 8")
    @OptionGroup var options: AdminOptions
    @Option(name: .shortAndLong, help: "New number of partitions.") var partitions: Int
    @Argument(help: "Topic.") var topic: TopicArgument

    func run() async throws {
      try await options.withSession {
        try await $0.send(
          .post, "\(topic.path)/partitions", body: .integer(Int64(partitions)))
      }
    }
  }

  struct Partitions: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      commandName: "get-partitioned-topic-metadata",
      abstract: "Show how many partitions a topic has.",
      discussion: "Example: meridian topics get-partitioned-topic-metadata demo/orders/created")
    @OptionGroup var options: AdminOptions
    @Argument(help: "Topic.") var topic: TopicArgument

    func run() async throws {
      try await options.withSession { try await $0.printObject("\(topic.path)/partitions", json: options.json) }
    }
  }

  struct Delete: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Delete a topic.", discussion: "Example: meridian topics delete demo/orders/created")
    @OptionGroup var options: AdminOptions
    @Flag(name: .shortAndLong, help: "Close its producers and consumers.") var force = false
    @Argument(help: "Topic.") var topic: TopicArgument

    func run() async throws {
      try await options.withSession { try await $0.send(.delete, topic.path, query: Arguments.force(force)) }
    }
  }

  struct DeletePartitioned: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      commandName: "delete-partitioned-topic",
      abstract: "Delete a partitioned topic.",
      discussion: "Example: meridian topics delete-partitioned-topic demo/orders/created")
    @OptionGroup var options: AdminOptions
    @Flag(name: .shortAndLong, help: "Close its producers and consumers.") var force = false
    @Argument(help: "Topic.") var topic: TopicArgument

    func run() async throws {
      try await options.withSession {
        try await $0.send(.delete, "\(topic.path)/partitions", query: Arguments.force(force))
      }
    }
  }

  struct Stats: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Show rates, backlog, subscriptions and replication of a topic.",
      discussion: "Example: meridian topics stats demo/orders/created")
    @OptionGroup var options: AdminOptions
    @Argument(help: "Topic.") var topic: TopicArgument

    func run() async throws {
      try await options.withSession {
        try await TopicStatsOutput.print($0.get("\(topic.path)/stats"), json: options.json)
      }
    }
  }

  struct PartitionedStats: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      commandName: "partitioned-stats",
      abstract: "Show the stats of a partitioned topic.",
      discussion: "Example: meridian topics partitioned-stats demo/orders/created")
    @OptionGroup var options: AdminOptions
    @Flag(name: .customLong("per-partition"), help: "Each partition too.") var perPartition = false
    @Argument(help: "Topic.") var topic: TopicArgument

    func run() async throws {
      try await options.withSession {
        try await TopicStatsOutput.print(
          $0.get("\(topic.path)/partitioned-stats", query: [("perPartition", String(perPartition))]), json: options.json
        )
      }
    }
  }

  struct InternalStats: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      commandName: "stats-internal",
      abstract: "Show the ledgers and cursors of a topic.",
      discussion: "Example: meridian topics stats-internal demo/orders/created")
    @OptionGroup var options: AdminOptions
    @Argument(help: "Topic.") var topic: TopicArgument

    func run() async throws {
      try await options.withSession { try await JSONOutput.print($0.get("\(topic.path)/internalStats")) }
    }
  }

  struct Unload: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Unload a topic; clients reconnect.",
      discussion: "Example: meridian topics unload demo/orders/created")
    @OptionGroup var options: AdminOptions
    @Argument(help: "Topic.") var topic: TopicArgument

    func run() async throws {
      try await options.withSession { try await $0.send(.put, "\(topic.path)/unload") }
    }
  }

  struct Terminate: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "End a topic: nothing can be published to it any more.",
      discussion: "Example: meridian topics terminate demo/orders/created")
    @OptionGroup var options: AdminOptions
    @Argument(help: "Topic.") var topic: TopicArgument

    func run() async throws {
      try await options.withSession { try await AdminSession.printRows($0.send(.post, "\(topic.path)/terminate")) }
    }
  }

  struct LastMessageID: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      commandName: "last-message-id",
      abstract: "Show the id of the last message.",
      discussion: "Example: meridian topics last-message-id demo/orders/created")
    @OptionGroup var options: AdminOptions
    @Argument(help: "Topic.") var topic: TopicArgument

    func run() async throws {
      try await options.withSession { try await $0.printObject("\(topic.path)/lastMessageId", json: options.json) }
    }
  }

  struct GetClusters: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      commandName: "get-replication-clusters",
      abstract: "Show the regions that a topic is replicated to.",
      discussion: "Example: meridian topics get-replication-clusters demo/orders/created")
    @OptionGroup var options: AdminOptions
    @Argument(help: "Topic.") var topic: TopicArgument

    func run() async throws {
      try await options.withSession {
        try await $0.printNames("\(topic.path)/replication", json: options.json, title: "REGION")
      }
    }
  }

  struct SetClusters: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      commandName: "set-replication-clusters",
      abstract: "Set the regions that a topic is replicated to.",
      discussion: "Example: meridian topics set-replication-clusters demo/orders/created --clusters us,eu")
    @OptionGroup var options: AdminOptions
    @Option(name: .shortAndLong, help: "Regions, with commas.") var clusters: String
    @Argument(help: "Topic.") var topic: TopicArgument

    func run() async throws {
      try await options.withSession {
        try await $0.send(.post, "\(topic.path)/replication", body: Arguments.list(clusters))
      }
    }
  }

  struct RemoveClusters: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      commandName: "remove-replication-clusters",
      abstract: "Leave the regions of a topic to its namespace.",
      discussion: "Example: meridian topics remove-replication-clusters demo/orders/created")
    @OptionGroup var options: AdminOptions
    @Argument(help: "Topic.") var topic: TopicArgument

    func run() async throws {
      try await options.withSession { try await $0.send(.delete, "\(topic.path)/replication") }
    }
  }
}

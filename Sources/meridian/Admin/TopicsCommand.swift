import ArgumentParser

/// `meridian topics`: manage topics.
struct TopicsCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "topics", abstract: "Manage topics and their subscriptions.",
    discussion: "Example: meridian topics stats demo/orders/created",
    subcommands: [
      List.self, ListPartitioned.self, Create.self, CreatePartitioned.self, UpdatePartitioned.self,
      CreateMissed.self, Partitions.self, Delete.self, DeletePartitioned.self, Truncate.self, Unload.self,
      Terminate.self, TerminatePartitioned.self, Trim.self, GetClusters.self, SetClusters.self, RemoveClusters.self,
      Subscriptions.self, CreateSubscription.self, Unsubscribe.self,
    ] + SubscriptionVerbs.all + TopicReports.all + PolicyCommands<TopicTarget>.all)

  struct List: AdminList {
    static let configuration = CommandConfiguration.verb(
      "list", "List the topics of a namespace.", example: "topics list demo/orders")
    @OptionGroup var target: NamespaceTarget
    @Option(
      name: [.customLong("td", withSingleDash: true), .customLong("topic-domain")],
      help: "persistent or non_persistent.")
    var domain: TopicDomainArgument = .persistent
    @Flag(
      name: [.customLong("ist", withSingleDash: true), .customLong("include-system-topic")],
      help: "Topics that brokers made for themselves, too.")
    var includesSystem = false

    var title: String { "TOPIC" }
    var call: AdminCall {
      .get(
        "\(domain.path)/\(target.namespace.path)", query: [("includeSystemTopic", String(includesSystem))])
    }
  }

  struct ListPartitioned: AdminList {
    static let configuration = CommandConfiguration.verb(
      "list-partitioned-topics", "List the partitioned topics of a namespace.",
      example: "topics list-partitioned-topics demo/orders")
    @OptionGroup var target: NamespaceTarget

    var title: String { "TOPIC" }
    var call: AdminCall { .get("persistent/\(target.namespace.path)/partitioned") }
  }

  /// Properties that a topic is created with.
  struct Properties: ParsableArguments {
    @Option(name: [.customShort("m"), .customLong("metadata")], help: "Properties, as a=b,c=d.")
    var metadata: [String] = []

    func fields() throws -> [String: JSONValue] {
      let pairs = metadata.flatMap { $0.split(separator: ",").map { $0.trimmingSpaces() } }
      return try Arguments.pairs(pairs, "--metadata")
    }
  }

  struct Create: AdminChange {
    static let configuration = CommandConfiguration.verb(
      "create", "Create a topic without partitions.", example: "topics create demo/orders/created")
    @OptionGroup var target: TopicTarget
    @OptionGroup var properties: Properties

    func call() throws -> AdminCall {
      let fields = try properties.fields()
      return .put(target.path, fields.isEmpty ? nil : .object(fields))
    }
  }

  struct CreatePartitioned: AdminChange {
    static let configuration = CommandConfiguration.verb(
      "create-partitioned-topic", "Create a partitioned topic.",
      example: "topics create-partitioned-topic demo/orders/created --partitions 4")
    @OptionGroup var target: TopicTarget
    @Option(name: .shortAndLong, help: "Number of partitions.") var partitions: Int
    @OptionGroup var properties: Properties

    func call() throws -> AdminCall {
      let fields = try properties.fields()
      let count = JSONValue.integer(Int64(partitions))
      return .put(
        "\(target.path)/partitions",
        fields.isEmpty ? count : .object(["partitions": count, "properties": .object(fields)]))
    }
  }

  struct UpdatePartitioned: AdminChange {
    static let configuration = CommandConfiguration.verb(
      "update-partitioned-topic", "Add partitions to a topic.",
      example: "topics update-partitioned-topic demo/orders/created --partitions 8")
    @OptionGroup var target: TopicTarget
    @Option(name: .shortAndLong, help: "New number of partitions.") var partitions: Int
    @Flag(
      name: [.customLong("ulo", withSingleDash: true), .customLong("update-local-only")],
      help: "In this region only.")
    var localOnly = false
    @Flag(name: .shortAndLong, help: "Do not look at what there is.") var force = false

    func call() -> AdminCall {
      let query = (localOnly ? [("updateLocalTopicOnly", "true")] : []) + Arguments.force(force)
      return .post("\(target.path)/partitions", query: query, .integer(Int64(partitions)))
    }
  }

  struct CreateMissed: AdminChange {
    static let configuration = CommandConfiguration.verb(
      "create-missed-partitions", "Create the partitions of a topic that are missing.",
      example: "topics create-missed-partitions demo/orders/created")
    @OptionGroup var target: TopicTarget

    func call() -> AdminCall { .post("\(target.path)/createMissedPartitions") }
  }

  struct Partitions: AdminShow {
    static let configuration = CommandConfiguration.verb(
      "get-partitioned-topic-metadata", "Show how many partitions a topic has.",
      example: "topics get-partitioned-topic-metadata demo/orders/created")
    @OptionGroup var target: TopicTarget

    var call: AdminCall { .get("\(target.path)/partitions") }
  }

  struct Delete: AdminChange {
    static let configuration = CommandConfiguration.verb(
      "delete", "Delete a topic.", example: "topics delete demo/orders/created")
    @OptionGroup var target: TopicTarget
    @Flag(name: .shortAndLong, help: "Close its producers and consumers.") var force = false

    func call() -> AdminCall { .delete(target.path, query: Arguments.force(force)) }
  }

  struct DeletePartitioned: AdminChange {
    static let configuration = CommandConfiguration.verb(
      "delete-partitioned-topic", "Delete a partitioned topic.",
      example: "topics delete-partitioned-topic demo/orders/created")
    @OptionGroup var target: TopicTarget
    @Flag(name: .shortAndLong, help: "Close its producers and consumers.") var force = false

    func call() -> AdminCall { .delete("\(target.path)/partitions", query: Arguments.force(force)) }
  }

  struct Truncate: AdminChange {
    static let configuration = CommandConfiguration.verb(
      "truncate", "Skip the backlog of every subscription, and delete what is not needed.",
      example: "topics truncate demo/orders/created")
    @OptionGroup var target: TopicTarget

    func call() -> AdminCall { .delete("\(target.path)/truncate") }
  }

  struct Unload: AdminChange {
    static let configuration = CommandConfiguration.verb(
      "unload", "Unload a topic; clients reconnect.", example: "topics unload demo/orders/created")
    @OptionGroup var target: TopicTarget

    func call() -> AdminCall { .put("\(target.path)/unload") }
  }

  struct Terminate: AdminVerb {
    static let configuration = CommandConfiguration.verb(
      "terminate", "End a topic: nothing can be published to it any more.",
      example: "topics terminate demo/orders/created")
    @OptionGroup var target: TopicTarget

    func run(_ session: AdminSession) async throws {
      AdminSession.printRows(try await session.send(.post("\(target.path)/terminate")))
    }
  }

  struct TerminatePartitioned: AdminVerb {
    static let configuration = CommandConfiguration.verb(
      "partitioned-terminate", "End every partition of a topic: nothing can be published to it any more.",
      example: "topics partitioned-terminate demo/orders/created")
    @OptionGroup var target: TopicTarget

    func run(_ session: AdminSession) async throws {
      AdminSession.printRows(try await session.send(.post("\(target.path)/terminate/partitions")))
    }
  }

  struct Trim: AdminChange {
    static let configuration = CommandConfiguration.verb(
      "trim-topic", "Delete what no subscription and no retention rule needs.",
      example: "topics trim-topic demo/orders/created")
    @OptionGroup var target: TopicTarget

    func call() -> AdminCall { .post("\(target.path)/trim") }
  }

  struct GetClusters: AdminList {
    static let configuration = CommandConfiguration.verb(
      "get-replication-clusters", "Show the regions that a topic is replicated to.",
      example: "topics get-replication-clusters demo/orders/created")
    @OptionGroup var target: TopicTarget

    var title: String { "REGION" }
    var call: AdminCall { .get("\(target.path)/replication") }
  }

  struct SetClusters: AdminChange {
    static let configuration = CommandConfiguration.verb(
      "set-replication-clusters", "Set the regions that a topic is replicated to.",
      example: "topics set-replication-clusters demo/orders/created --clusters us,eu")
    @OptionGroup var target: TopicTarget
    @Option(name: .shortAndLong, help: "Regions, with commas.") var clusters: String

    func call() -> AdminCall { .post("\(target.path)/replication", Arguments.list(clusters)) }
  }

  struct RemoveClusters: AdminChange {
    static let configuration = CommandConfiguration.verb(
      "remove-replication-clusters", "Leave the regions of a topic to its namespace.",
      example: "topics remove-replication-clusters demo/orders/created")
    @OptionGroup var target: TopicTarget

    func call() -> AdminCall { .delete("\(target.path)/replication") }
  }

  // The verbs of `meridian subscriptions` that pulsar-admin has under other names.

  struct Subscriptions: AsyncParsableCommand {
    static let configuration = CommandConfiguration.verb(
      "subscriptions", "List the subscriptions of a topic.", example: "topics subscriptions demo/orders/created")
    @OptionGroup var verb: SubscriptionsCommand.List

    func run() async throws { try await verb.run() }
  }

  struct CreateSubscription: AsyncParsableCommand {
    static let configuration = CommandConfiguration.verb(
      "create-subscription", "Create a subscription.",
      example: "topics create-subscription demo/orders/created -s billing --messageId earliest")
    @OptionGroup var verb: SubscriptionsCommand.Create

    func run() async throws { try await verb.run() }
  }

  struct Unsubscribe: AsyncParsableCommand {
    static let configuration = CommandConfiguration.verb(
      "unsubscribe", "Delete a subscription.", example: "topics unsubscribe demo/orders/created -s billing")
    @OptionGroup var verb: SubscriptionsCommand.Delete

    func run() async throws { try await verb.run() }
  }
}

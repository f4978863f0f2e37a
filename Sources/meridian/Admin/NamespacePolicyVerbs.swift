import ArgumentParser

/// A policy of a namespace: how its verbs are called, and where the admin API has it.
protocol NamespacePolicy {
  /// What follows `get-`, `set-` and `remove-`.
  static var name: String { get }
  /// Below the namespace's path.
  static var endpoint: String { get }
  /// Continues "Show ..." and "Leave ... to the broker".
  static var meaning: String { get }
}

/// `get-…`, `set-…` and `remove-…` of the policies of a namespace.
enum NamespacePolicyVerbs {
  static let all: [any ParsableCommand.Type] = [
    Get<Deduplication>.self, SetDeduplication.self, Remove<Deduplication>.self,
    Get<MessageTTL>.self, SetMessageTTL.self, Remove<MessageTTL>.self,
    Get<Retention>.self, SetRetention.self, Remove<Retention>.self,
    Get<MaxProducers>.self, SetMaxProducers.self, Remove<MaxProducers>.self,
    Get<SchemaCompatibility>.self, SetSchemaCompatibility.self,
    GetBacklogQuotas.self, SetBacklogQuota.self, RemoveBacklogQuota.self,
    Get<BookieAffinity>.self, SetBookieAffinity.self, DeleteBookieAffinity.self,
  ]

  enum Deduplication: NamespacePolicy {
    static let name = "deduplication"
    static let endpoint = "deduplication"
    static let meaning = "whether duplicates of producers are dropped"
  }

  enum MessageTTL: NamespacePolicy {
    static let name = "message-ttl"
    static let endpoint = "messageTTL"
    static let meaning = "how long unacknowledged messages are kept"
  }

  enum Retention: NamespacePolicy {
    static let name = "retention"
    static let endpoint = "retention"
    static let meaning = "how long acknowledged messages are kept"
  }

  enum MaxProducers: NamespacePolicy {
    static let name = "max-producers-per-topic"
    static let endpoint = "maxProducersPerTopic"
    static let meaning = "how many producers a topic takes"
  }

  enum SchemaCompatibility: NamespacePolicy {
    static let name = "schema-compatibility-strategy"
    static let endpoint = "schemaCompatibilityStrategy"
    static let meaning = "which schema changes are accepted"
  }

  enum BookieAffinity: NamespacePolicy {
    static let name = "bookie-affinity-group"
    static let endpoint = "persistence/bookieAffinity"
    static let meaning = "which groups of bookies hold the namespace's ledgers"
  }

  struct Get<Policy: NamespacePolicy>: AdminShow {
    static var configuration: CommandConfiguration {
      .verb("get-\(Policy.name)", "Show \(Policy.meaning).", example: "namespaces get-\(Policy.name) demo/orders")
    }
    @OptionGroup var target: NamespaceTarget

    var call: AdminCall { .get("\(target.path)/\(Policy.endpoint)") }
  }

  struct Remove<Policy: NamespacePolicy>: AdminChange {
    static var configuration: CommandConfiguration {
      .verb(
        "remove-\(Policy.name)", "Leave \(Policy.meaning) to the broker.",
        example: "namespaces remove-\(Policy.name) demo/orders")
    }
    @OptionGroup var target: NamespaceTarget

    func call() -> AdminCall { .delete("\(target.path)/\(Policy.endpoint)") }
  }

  struct SetDeduplication: AdminChange {
    static let configuration = CommandConfiguration.verb(
      "set-deduplication", "Set whether duplicates of producers are dropped.",
      example: "namespaces set-deduplication demo/orders --enable")
    @OptionGroup var target: NamespaceTarget
    @Flag(name: .shortAndLong, help: "Drop duplicates.") var enable = false
    @Flag(name: .shortAndLong, help: "Keep duplicates.") var disable = false

    func validate() throws {
      guard enable != disable else { throw ValidationError("give either --enable or --disable") }
    }

    func call() -> AdminCall { .post("\(target.path)/\(Deduplication.endpoint)", .bool(enable)) }
  }

  struct SetMessageTTL: AdminChange {
    static let configuration = CommandConfiguration.verb(
      "set-message-ttl", "Set how long unacknowledged messages are kept.",
      example: "namespaces set-message-ttl demo/orders --messageTTL 3600")
    @OptionGroup var target: NamespaceTarget
    @Option(
      name: [.customLong("messageTTL"), .customLong("ttl"), .customLong("ttl", withSingleDash: true)],
      help: ArgumentHelp("Seconds, or 100m, 3h, 2d, 5w; 0 turns it off.", valueName: "time"))
    var ttl: RelativeTime

    func call() -> AdminCall { .post("\(target.path)/\(MessageTTL.endpoint)", .integer(ttl.seconds)) }
  }

  struct SetRetention: AdminChange {
    static let configuration = CommandConfiguration.verb(
      "set-retention", "Set how long acknowledged messages are kept.",
      example: "namespaces set-retention demo/orders --time 3h --size 10G")
    @OptionGroup var target: NamespaceTarget
    @Option(
      name: .shortAndLong, parsing: .unconditional,
      help: "Seconds, or 100m, 3h, 2d, 5w; 0 keeps nothing, -1 keeps for ever.")
    var time: String
    @Option(
      name: .shortAndLong, parsing: .unconditional,
      help: "Bytes, or 10M, 16G, 3T; 0 keeps nothing, -1 is no limit.")
    var size: String

    func call() throws -> AdminCall {
      .post(
        "\(target.path)/\(Retention.endpoint)",
        .object([
          "retentionTimeInMinutes": .integer(try RetentionArgument.minutes(time)),
          "retentionSizeInMB": .integer(try RetentionArgument.mebibytes(size)),
        ]))
    }
  }

  struct SetMaxProducers: AdminChange {
    static let configuration = CommandConfiguration.verb(
      "set-max-producers-per-topic", "Set how many producers a topic takes.",
      example: "namespaces set-max-producers-per-topic demo/orders -p 100")
    @OptionGroup var target: NamespaceTarget
    @Option(name: [.customShort("p"), .customLong("max-producers-per-topic")], help: "Producers; 0 is no limit.")
    var count: Int

    func call() -> AdminCall { .post("\(target.path)/\(MaxProducers.endpoint)", .integer(Int64(count))) }
  }

  struct SetSchemaCompatibility: AdminChange {
    static let configuration = CommandConfiguration.verb(
      "set-schema-compatibility-strategy", "Set which schema changes are accepted.",
      example: "namespaces set-schema-compatibility-strategy demo/orders -c BACKWARD")
    @OptionGroup var target: NamespaceTarget
    @Option(
      name: [.customShort("c"), .customLong("compatibility")], help: "FULL, BACKWARD, FORWARD, ALWAYS_COMPATIBLE, ...")
    var strategy: String

    func call() -> AdminCall { .put("\(target.path)/\(SchemaCompatibility.endpoint)", .string(strategy)) }
  }

  struct SetBookieAffinity: AdminChange {
    static let configuration = CommandConfiguration.verb(
      "set-bookie-affinity-group", "Set which groups of bookies hold the ledgers that a namespace makes from now on.",
      example: "namespaces set-bookie-affinity-group demo/orders --primary-group fast --secondary-group others")
    @OptionGroup var target: NamespaceTarget
    @Option(
      name: [.customLong("primary-group"), .customLong("pg", withSingleDash: true)],
      help: "Groups whose bookies are taken first, with commas.")
    var primary: String
    @Option(
      name: [.customLong("secondary-group"), .customLong("sg", withSingleDash: true)],
      help: "Groups whose bookies are taken too where the primary ones are too few, with commas.")
    var secondary: String?

    func call() -> AdminCall {
      var fields: [String: JSONValue] = ["bookkeeperAffinityGroupPrimary": .string(primary)]
      if let secondary { fields["bookkeeperAffinityGroupSecondary"] = .string(secondary) }
      return .post("\(target.path)/\(BookieAffinity.endpoint)", .object(fields))
    }
  }

  struct DeleteBookieAffinity: AdminChange {
    static let configuration = CommandConfiguration.verb(
      "delete-bookie-affinity-group", "Let any bookie hold the ledgers that a namespace makes from now on.",
      example: "namespaces delete-bookie-affinity-group demo/orders", aliases: ["remove-bookie-affinity-group"])
    @OptionGroup var target: NamespaceTarget

    func call() -> AdminCall { .delete("\(target.path)/\(BookieAffinity.endpoint)") }
  }

  struct GetBacklogQuotas: AdminShow {
    static let configuration = CommandConfiguration.verb(
      "get-backlog-quotas", "Show the backlog quotas of a namespace.",
      example: "namespaces get-backlog-quotas demo/orders")
    @OptionGroup var target: NamespaceTarget

    var call: AdminCall { .get("\(target.path)/backlogQuotaMap") }
  }

  struct SetBacklogQuota: AdminChange {
    static let configuration = CommandConfiguration.verb(
      "set-backlog-quota", "Set a backlog quota of a namespace.",
      example: "namespaces set-backlog-quota demo/orders --limit 10G --policy producer_exception")
    @OptionGroup var target: NamespaceTarget
    @Option(
      name: .shortAndLong, parsing: .unconditional, help: "Bytes, or 10M, 16G; -1 is no limit.") var limit = "-1"
    @Option(
      name: [.customLong("limitTime"), .customLong("lt", withSingleDash: true)], parsing: .unconditional,
      help: "Seconds, or 3h, 2d; -1 is no limit.")
    var limitTime = "-1"
    @Option(name: .shortAndLong, help: "producer_request_hold, producer_exception or consumer_backlog_eviction.")
    var policy: String
    @Option(name: .shortAndLong, help: "destination_storage or message_age.") var type = "destination_storage"

    func call() throws -> AdminCall {
      .post(
        "\(target.path)/backlogQuota", query: [("backlogQuotaType", type)],
        .object([
          "limitSize": .integer(try RetentionArgument.bytes(limit)),
          "limitTime": .integer(try RetentionArgument.seconds(limitTime)), "policy": .string(policy),
        ]))
    }
  }

  struct RemoveBacklogQuota: AdminChange {
    static let configuration = CommandConfiguration.verb(
      "remove-backlog-quota", "Remove a backlog quota of a namespace.",
      example: "namespaces remove-backlog-quota demo/orders")
    @OptionGroup var target: NamespaceTarget
    @Option(name: .shortAndLong, help: "destination_storage or message_age.") var type = "destination_storage"

    func call() -> AdminCall { .delete("\(target.path)/backlogQuota", query: [("backlogQuotaType", type)]) }
  }
}

import ArgumentParser

/// Verbs of `meridian topics` that only look.
enum TopicReports {
  static let all: [any ParsableCommand.Type] = [
    Stats.self, PartitionedStats.self, InternalStats.self, PartitionedInternalStats.self, InternalInfo.self,
    LastMessageID.self, MessageIDAt.self, ByID.self, Examine.self, BacklogSize.self,
  ]

  /// What stats are to say, and what they may leave out.
  struct StatsOptions: ParsableArguments {
    @Flag(
      name: [.customLong("gpb", withSingleDash: true), .customLong("get-precise-backlog")],
      help: "Count the messages of batches, too.")
    var preciseBacklog = false
    @Flag(
      name: [.customLong("sbs", withSingleDash: true), .customLong("get-subscription-backlog-size")],
      help: "Bytes of each subscription's backlog.")
    var backlogSize = false
    @Flag(
      name: [.customLong("etb", withSingleDash: true), .customLong("get-earliest-time-in-backlog")],
      help: "When the oldest message of each backlog was published.")
    var earliestTime = false
    @Flag(
      name: [.customLong("ep", withSingleDash: true), .customLong("exclude-publishers")], help: "Leave out producers.")
    var excludesPublishers = false
    @Flag(
      name: [.customLong("ec", withSingleDash: true), .customLong("exclude-consumers")], help: "Leave out consumers.")
    var excludesConsumers = false

    var query: [(String, String)] {
      let flags = [
        ("getPreciseBacklog", preciseBacklog), ("subscriptionBacklogSize", backlogSize),
        ("getEarliestTimeInBacklog", earliestTime), ("excludePublishers", excludesPublishers),
        ("excludeConsumers", excludesConsumers),
      ]
      return flags.filter(\.1).map { ($0.0, "true") }
    }
  }

  struct Stats: AdminVerb {
    static let configuration = CommandConfiguration.verb(
      "stats", "Show rates, backlog, subscriptions and replication of a topic.",
      example: "topics stats demo/orders/created")
    @OptionGroup var target: TopicTarget
    @OptionGroup var stats: StatsOptions

    func run(_ session: AdminSession) async throws {
      let answer = try await session.send(.get("\(target.path)/stats", query: stats.query))
      try TopicStatsOutput.print(answer, json: target.options.json)
    }
  }

  struct PartitionedStats: AdminVerb {
    static let configuration = CommandConfiguration.verb(
      "partitioned-stats", "Show the stats of a partitioned topic.",
      example: "topics partitioned-stats demo/orders/created --per-partition --json")
    @OptionGroup var target: TopicTarget
    @OptionGroup var stats: StatsOptions
    @Flag(name: .customLong("per-partition"), help: "Each partition too.") var perPartition = false

    func run(_ session: AdminSession) async throws {
      let answer = try await session.send(
        .get("\(target.path)/partitioned-stats", query: stats.query + [("perPartition", String(perPartition))]))
      try TopicStatsOutput.print(answer, json: target.options.json)
      guard perPartition, !target.options.json else { return }
      for (name, partition) in answer["partitions"].object.sorted(by: { $0.key < $1.key }) {
        Swift.print("\n\(name)")
        try TopicStatsOutput.print(partition, json: false)
      }
    }
  }

  struct InternalStats: AdminVerb {
    static let configuration = CommandConfiguration.verb(
      "stats-internal", "Show the ledgers and cursors of a topic.",
      example: "topics stats-internal demo/orders/created")
    @OptionGroup var target: TopicTarget
    @Flag(name: [.customShort("m"), .customLong("metadata")], help: "With the metadata of its ledgers.")
    var metadata = false

    func run(_ session: AdminSession) async throws {
      let query = metadata ? [("metadata", "true")] : []
      try JSONOutput.print(await session.send(.get("\(target.path)/internalStats", query: query)))
    }
  }

  struct PartitionedInternalStats: AdminVerb {
    static let configuration = CommandConfiguration.verb(
      "partitioned-stats-internal", "Show the ledgers and cursors of every partition.",
      example: "topics partitioned-stats-internal demo/orders/created")
    @OptionGroup var target: TopicTarget

    func run(_ session: AdminSession) async throws {
      try JSONOutput.print(await session.send(.get("\(target.path)/partitioned-internalStats")))
    }
  }

  struct InternalInfo: AdminVerb {
    static let configuration = CommandConfiguration.verb(
      "info-internal", "Show what the metadata store holds of a topic.",
      example: "topics info-internal demo/orders/created")
    @OptionGroup var target: TopicTarget

    func run(_ session: AdminSession) async throws {
      try JSONOutput.print(await session.send(.get("\(target.path)/internal-info")))
    }
  }

  struct LastMessageID: AdminShow {
    static let configuration = CommandConfiguration.verb(
      "last-message-id", "Show the id of the last message.", example: "topics last-message-id demo/orders/created",
      aliases: ["get-last-message-id"])
    @OptionGroup var target: TopicTarget

    var call: AdminCall { .get("\(target.path)/lastMessageId") }
  }

  struct MessageIDAt: AdminVerb {
    static let configuration = CommandConfiguration.verb(
      "get-message-id", "Show the id of the first message published at a time or later.",
      example: "topics get-message-id demo/orders/created --datetime 2026-01-31T12:00:00Z")
    @OptionGroup var target: TopicTarget
    @Option(name: .shortAndLong, help: "Time, as 2026-01-31T12:00:00Z, +02:00 in place of Z, or with .123 seconds.")
    var datetime: TimeArgument

    func run(_ session: AdminSession) async throws {
      try await session.printObject(.get("\(target.path)/messageid/\(datetime.ms)"), json: target.options.json)
    }
  }

  struct ByID: AdminVerb {
    static let configuration = CommandConfiguration.verb(
      "get-message-by-id", "Show a stored message.",
      example: "topics get-message-by-id demo/orders/created --ledgerId 12 --entryId 0")
    @OptionGroup var target: TopicTarget
    @Option(name: [.customShort("l"), .customLong("ledgerId"), .customLong("ledger-id")], help: "Ledger.")
    var ledgerID: Int64
    @Option(name: [.customShort("e"), .customLong("entryId"), .customLong("entry-id")], help: "Entry in the ledger.")
    var entryID: Int64

    func run(_ session: AdminSession) async throws {
      guard let found = try await session.messages("\(target.path)/ledger/\(ledgerID)/entry/\(entryID)") else {
        throw CommandFailure("\(target.topic.name) has no message at \(ledgerID):\(entryID)")
      }
      try StoredMessage.print(found, json: target.options.json)
    }
  }

  struct Examine: AdminVerb {
    static let configuration = CommandConfiguration.verb(
      "examine-messages", "Show the n-th message from either end of a topic.",
      example: "topics examine-messages demo/orders/created --initialPosition earliest --messagePosition 1")
    @OptionGroup var target: TopicTarget
    @Option(name: [.customShort("i"), .customLong("initialPosition")], help: "Count from earliest or latest.")
    var initialPosition = "latest"
    @Option(name: [.customShort("m"), .customLong("messagePosition")], help: "Which one, from 1.")
    var messagePosition = 1

    func run(_ session: AdminSession) async throws {
      let query = [("initialPosition", initialPosition), ("messagePosition", String(messagePosition))]
      guard let found = try await session.messages("\(target.path)/examinemessage", query: query) else {
        throw CommandFailure("\(target.topic.name) has no message number \(messagePosition)")
      }
      try StoredMessage.print(found, json: target.options.json)
    }
  }

  struct BacklogSize: AdminVerb {
    static let configuration = CommandConfiguration.verb(
      "get-backlog-size", "Show how many bytes are stored behind a message.",
      example: "topics get-backlog-size demo/orders/created --messageId 12:0")
    @OptionGroup var target: TopicTarget
    @Option(
      name: [.customShort("m"), .customLong("messageId"), .customLong("message-id")], parsing: .unconditional,
      help: "earliest, latest or ledger:entry.")
    var messageID: String

    func run(_ session: AdminSession) async throws {
      let size = try await session.send(.put("\(target.path)/backlogSize", MessageIDArgument.json(messageID)))
      print(size.text)
    }
  }
}

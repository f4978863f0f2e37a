import ArgumentParser

/// `meridian subscriptions`: manage subscriptions.
struct SubscriptionsCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "subscriptions", abstract: "Manage subscriptions.",
    discussion: "Example: meridian subscriptions list demo/orders/created",
    subcommands: [
      List.self, Create.self, Delete.self, Get.self, Reset.self, Skip.self, Clear.self, Expire.self,
    ])

  struct List: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "List the subscriptions of a topic.",
      discussion: "Example: meridian subscriptions list demo/orders/created")
    @OptionGroup var options: AdminOptions
    @Argument(help: "Topic.") var topic: TopicArgument

    func run() async throws {
      try await options.withSession {
        try await $0.printNames("\(topic.path)/subscriptions", json: options.json, title: "SUBSCRIPTION")
      }
    }
  }

  struct Create: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Create a subscription.",
      discussion: "Example: meridian subscriptions create demo/orders/created -s billing --message-id earliest")
    @OptionGroup var options: AdminOptions
    @Option(name: [.customShort("s"), .customLong("subscription")], help: "Subscription.") var subscription: String
    @Option(name: .shortAndLong, help: "earliest, latest or ledger:entry.") var messageId = "latest"
    @Argument(help: "Topic.") var topic: TopicArgument

    func run() async throws {
      try await options.withSession {
        try await $0.send(
          .put, "\(topic.path)/subscription/\(AdminSession.escape(subscription))",
          body: MessageIDArgument.json(messageId))
      }
    }
  }

  struct Delete: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Delete a subscription.",
      discussion: "Example: meridian subscriptions delete demo/orders/created -s billing",
      aliases: ["unsubscribe"])
    @OptionGroup var options: AdminOptions
    @Option(name: [.customShort("s"), .customLong("subscription")], help: "Subscription.") var subscription: String
    @Flag(name: .shortAndLong, help: "Close its consumers.") var force = false
    @Argument(help: "Topic.") var topic: TopicArgument

    func run() async throws {
      try await options.withSession {
        try await $0.send(
          .delete, "\(topic.path)/subscription/\(AdminSession.escape(subscription))", query: Arguments.force(force))
      }
    }
  }

  struct Get: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Show a subscription.",
      discussion: "Example: meridian subscriptions get demo/orders/created -s billing")
    @OptionGroup var options: AdminOptions
    @Option(name: [.customShort("s"), .customLong("subscription")], help: "Subscription.") var subscription: String
    @Argument(help: "Topic.") var topic: TopicArgument

    func run() async throws {
      try await options.withSession {
        let stats = try await $0.get("\(topic.path)/stats")
        guard let found = stats["subscriptions"].object[subscription] else {
          throw CommandFailure("\(topic.name) has no subscription `\(subscription)`")
        }
        if options.json { try JSONOutput.print(found) } else { AdminSession.printRows(found) }
      }
    }
  }

  struct Reset: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      commandName: "reset-cursor",
      abstract: "Move a subscription to a message or a time.",
      discussion: "Example: meridian subscriptions reset-cursor demo/orders/created -s billing --time 10m")
    @OptionGroup var options: AdminOptions
    @Option(name: [.customShort("s"), .customLong("subscription")], help: "Subscription.") var subscription: String
    @Option(name: .shortAndLong, help: "How long ago, such as 10m.") var time: String?
    @Option(name: .shortAndLong, help: "earliest, latest or ledger:entry.") var messageId: String?
    @Argument(help: "Topic.") var topic: TopicArgument

    func run() async throws {
      let target = try ResetTarget(time: time, messageID: messageId)
      try await options.withSession {
        try await $0.send(
          .post, "\(topic.path)/subscription/\(AdminSession.escape(subscription))/resetcursor\(target.pathSuffix)",
          body: target.body)
      }
    }
  }

  struct Skip: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Skip messages of a subscription.",
      discussion: "Example: meridian subscriptions skip demo/orders/created -s billing --count 10")
    @OptionGroup var options: AdminOptions
    @Option(name: [.customShort("s"), .customLong("subscription")], help: "Subscription.") var subscription: String
    @Option(name: [.customShort("n"), .customLong("count")], help: "Messages.") var count: Int
    @Argument(help: "Topic.") var topic: TopicArgument

    func run() async throws {
      try await options.withSession {
        try await $0.send(.post, "\(topic.path)/subscription/\(AdminSession.escape(subscription))/skip/\(count)")
      }
    }
  }

  struct Clear: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      commandName: "clear-backlog",
      abstract: "Skip the whole backlog of a subscription.",
      discussion: "Example: meridian subscriptions clear-backlog demo/orders/created -s billing")
    @OptionGroup var options: AdminOptions
    @Option(name: [.customShort("s"), .customLong("subscription")], help: "Subscription.") var subscription: String
    @Argument(help: "Topic.") var topic: TopicArgument

    func run() async throws {
      try await options.withSession {
        try await $0.send(.post, "\(topic.path)/subscription/\(AdminSession.escape(subscription))/skip_all")
      }
    }
  }

  struct Expire: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      commandName: "expire-messages",
      abstract: "Acknowledge messages older than a time.",
      discussion: "Example: meridian subscriptions expire-messages demo/orders/created -s billing --expire-time 3600")
    @OptionGroup var options: AdminOptions
    @Option(name: [.customShort("s"), .customLong("subscription")], help: "Subscription.") var subscription: String
    @Option(name: [.customShort("t"), .customLong("expire-time")], help: "Seconds.") var seconds: Int
    @Argument(help: "Topic.") var topic: TopicArgument

    func run() async throws {
      try await options.withSession {
        try await $0.send(
          .post, "\(topic.path)/subscription/\(AdminSession.escape(subscription))/expireMessages/\(seconds)")
      }
    }
  }
}

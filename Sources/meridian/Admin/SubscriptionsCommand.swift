import ArgumentParser

/// `meridian subscriptions`: manage subscriptions. The verbs are those of `meridian topics` that concern one.
struct SubscriptionsCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "subscriptions", abstract: "Manage subscriptions.",
    discussion: "Example: meridian subscriptions list demo/orders/created",
    subcommands: [List.self, Create.self, Delete.self, Get.self] + SubscriptionVerbs.all)

  struct List: AdminList {
    static let configuration = CommandConfiguration.verb(
      "list", "List the subscriptions of a topic.", example: "subscriptions list demo/orders/created")
    @OptionGroup var target: TopicTarget

    var title: String { "SUBSCRIPTION" }
    var call: AdminCall { .get("\(target.path)/subscriptions") }
  }

  struct Create: AdminChange {
    static let configuration = CommandConfiguration.verb(
      "create", "Create a subscription.",
      example: "subscriptions create demo/orders/created -s billing --messageId earliest")
    @OptionGroup var target: SubscriptionTarget
    @Option(
      name: [.customShort("m"), .customLong("messageId"), .customLong("message-id")], parsing: .unconditional,
      help: "Where it begins: earliest, latest or ledger:entry.")
    var messageID = "latest"
    @Flag(name: .shortAndLong, help: "Replicate its position to other regions (refused: not supported yet).")
    var replicated = false
    @Option(
      name: .shortAndLong, help: ArgumentHelp("Kept with the subscription; repeat it for more.", valueName: "key=value")
    )
    var property: [String] = []

    func call() throws -> AdminCall {
      var start = try MessageIDArgument.json(messageID).object
      if !property.isEmpty { start["properties"] = .object(try Arguments.pairs(property, "--property")) }
      return .put(target.path, query: replicated ? [("replicated", "true")] : [], .object(start))
    }
  }

  struct Delete: AdminChange {
    static let configuration = CommandConfiguration.verb(
      "delete", "Delete a subscription.", example: "subscriptions delete demo/orders/created -s billing",
      aliases: ["unsubscribe"])
    @OptionGroup var target: SubscriptionTarget
    @Flag(name: .shortAndLong, help: "Close its consumers.") var force = false

    func call() -> AdminCall { .delete(target.path, query: Arguments.force(force)) }
  }

  struct Get: AdminVerb {
    static let configuration = CommandConfiguration.verb(
      "get", "Show a subscription.", example: "subscriptions get demo/orders/created -s billing")
    @OptionGroup var target: SubscriptionTarget

    func run(_ session: AdminSession) async throws {
      let stats = try await session.send(.get("\(target.topic.path)/stats"))
      guard let found = stats["subscriptions"].object[target.subscription] else {
        throw CommandFailure("\(target.topic.name) has no subscription `\(target.subscription)`")
      }
      if target.options.json { try JSONOutput.print(found) } else { AdminSession.printRows(found) }
    }
  }
}

import ArgumentParser
import Foundation

/// Verbs that `meridian topics` and `meridian subscriptions` share, named and flagged as in pulsar-admin.
enum SubscriptionVerbs {
  static let all: [any ParsableCommand.Type] = [
    Reset.self, Skip.self, Clear.self, Expire.self, ExpireAll.self, Peek.self,
  ]

  struct Reset: AdminChange {
    static let configuration = CommandConfiguration.verb(
      "reset-cursor", "Move a subscription to a message or a time.",
      example: "topics reset-cursor demo/orders/created -s billing --time 10m")
    @OptionGroup var target: SubscriptionTarget
    @Option(name: .shortAndLong, help: "How long ago: seconds, or 10m, 3h, 2d, 5w.") var time: RelativeTime?
    @Option(
      name: [.customShort("m"), .customLong("messageId"), .customLong("message-id")], parsing: .unconditional,
      help: "earliest, latest or ledger:entry.")
    var messageID: String?
    @Flag(name: [.customShort("e"), .customLong("exclude-reset-position")], help: "Begin behind the message.")
    var excludesPosition = false

    func call() throws -> AdminCall {
      let path = "\(target.path)/resetcursor"
      switch (time, messageID) {
      case (let ago?, nil):
        return .post("\(path)/\(Int64(Date().timeIntervalSince1970 * 1000) - ago.seconds * 1000)")
      case (nil, let messageID?):
        var place = try MessageIDArgument.json(messageID).object
        if excludesPosition { place["isExcluded"] = .bool(true) }
        return .post(path, .object(place))
      default: throw ValidationError("give either --time or --messageId")
      }
    }
  }

  struct Skip: AdminChange {
    static let configuration = CommandConfiguration.verb(
      "skip", "Skip messages of a subscription.", example: "topics skip demo/orders/created -s billing --count 10")
    @OptionGroup var target: SubscriptionTarget
    @Option(name: [.customShort("n"), .customLong("count")], help: "Number of messages.") var count: Int

    func call() -> AdminCall { .post("\(target.path)/skip/\(count)") }
  }

  struct Clear: AdminChange {
    static let configuration = CommandConfiguration.verb(
      "clear-backlog", "Skip the whole backlog of a subscription.",
      example: "topics clear-backlog demo/orders/created -s billing")
    @OptionGroup var target: SubscriptionTarget

    func call() -> AdminCall { .post("\(target.path)/skip_all") }
  }

  /// How old messages must be to be acknowledged.
  struct Age: ParsableArguments {
    @Option(
      name: [.customShort("t"), .customLong("expireTime"), .customLong("expire-time")],
      help: ArgumentHelp("Age: seconds, or 100m, 3h, 2d, 5w.", valueName: "age"))
    var age: RelativeTime
  }

  struct Expire: AdminChange {
    static let configuration = CommandConfiguration.verb(
      "expire-messages", "Acknowledge messages older than a time.",
      example: "topics expire-messages demo/orders/created -s billing --expireTime 3600")
    @OptionGroup var target: SubscriptionTarget
    @OptionGroup var limit: Age

    func call() -> AdminCall { .post("\(target.path)/expireMessages/\(limit.age.seconds)") }
  }

  struct ExpireAll: AdminChange {
    static let configuration = CommandConfiguration.verb(
      "expire-messages-all-subscriptions", "Acknowledge messages older than a time, for every subscription.",
      example: "topics expire-messages-all-subscriptions demo/orders/created --expireTime 2d")
    @OptionGroup var target: TopicTarget
    @OptionGroup var limit: Age

    func call() -> AdminCall { .post("\(target.path)/all_subscription/expireMessages/\(limit.age.seconds)") }
  }

  struct Peek: AdminVerb {
    static let configuration = CommandConfiguration.verb(
      "peek-messages", "Show messages of a subscription's backlog, which stay in it.",
      example: "topics peek-messages demo/orders/created -s billing --count 5")
    @OptionGroup var target: SubscriptionTarget
    @Option(name: [.customShort("n"), .customLong("count")], help: "Messages at most.") var count = 1
    @Flag(
      name: [.customLong("ssm", withSingleDash: true), .customLong("show-server-marker")],
      help: "Show what brokers wrote for themselves, too.")
    var showsMarkers = false

    func validate() throws {
      guard count > 0 else { throw ValidationError("--count must be 1 or more") }
    }

    func run(_ session: AdminSession) async throws {
      var messages: [StoredMessage] = []
      var entry = 1
      while messages.count < count {
        guard let found = try await session.messages("\(target.path)/position/\(entry)") else { break }
        messages += found.filter { showsMarkers || !$0.isMarker }
        entry += 1
      }
      try StoredMessage.print(Array(messages.prefix(count)), json: target.options.json)
    }
  }
}

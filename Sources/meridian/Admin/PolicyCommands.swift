import ArgumentParser

/// What rates and copies are set on: a namespace or a topic.
protocol PolicyTarget: AdminTarget {
  /// As the command line calls them.
  static var noun: String { get }
  static var example: String { get }
}

extension NamespaceTarget: PolicyTarget {
  static var noun: String { "namespaces" }
  static var example: String { "demo/orders" }
}

extension TopicTarget: PolicyTarget {
  static var noun: String { "topics" }
  static var example: String { "demo/orders/created" }
}

/// A policy with a few numbers, and the options that set it; the names are pulsar-admin's.
protocol PolicyOptions: ParsableArguments {
  /// Behind `get-`, `set-` and `remove-`.
  static var name: String { get }
  /// The last part of the resource's path.
  static var resource: String { get }
  /// What it is, to go behind "Show", "Set" or "Remove".
  static var what: String { get }
  /// Options for the example.
  static var example: String { get }
  var body: JSONValue { get }
}

/// `get-`, `set-` and `remove-` of one policy.
enum PolicyCommands<Target: PolicyTarget> {
  static var all: [any ParsableCommand.Type] {
    of(PublishRateOptions.self) + of(TopicDispatchRateOptions.self) + of(SubscriptionDispatchRateOptions.self)
      + of(ReplicatorDispatchRateOptions.self) + of(SubscribeRateOptions.self) + of(PersistenceOptions.self)
  }

  private static func of<Policy: PolicyOptions>(_ policy: Policy.Type) -> [any ParsableCommand.Type] {
    [Get<Policy>.self, Set<Policy>.self, Remove<Policy>.self]
  }

  struct Get<Policy: PolicyOptions>: AdminShow {
    static var configuration: CommandConfiguration {
      .verb(
        "get-\(Policy.name)", "Show \(Policy.what).", example: "\(Target.noun) get-\(Policy.name) \(Target.example)")
    }
    @OptionGroup var target: Target

    var call: AdminCall { .get("\(target.path)/\(Policy.resource)") }
  }

  struct Set<Policy: PolicyOptions>: AdminChange {
    static var configuration: CommandConfiguration {
      .verb(
        "set-\(Policy.name)", "Set \(Policy.what).",
        example: "\(Target.noun) set-\(Policy.name) \(Target.example) \(Policy.example)")
    }
    @OptionGroup var target: Target
    @OptionGroup var policy: Policy

    func call() -> AdminCall { .post("\(target.path)/\(Policy.resource)", policy.body) }
  }

  struct Remove<Policy: PolicyOptions>: AdminChange {
    static var configuration: CommandConfiguration {
      .verb(
        "remove-\(Policy.name)", "Remove \(Policy.what).",
        example: "\(Target.noun) remove-\(Policy.name) \(Target.example)")
    }
    @OptionGroup var target: Target

    func call() -> AdminCall { .delete("\(target.path)/\(Policy.resource)") }
  }
}

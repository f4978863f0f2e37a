import ArgumentParser

/// What rates and copies are set on: a namespace or a topic.
protocol PolicyTarget: ExpressibleByArgument {
  /// As the command line calls them.
  static var noun: String { get }
  static var hint: String { get }
  static var example: String { get }
  /// The resource below which the policies are.
  var policyPath: String { get }
}

extension NamespaceArgument: PolicyTarget {
  static var noun: String { "namespaces" }
  static var hint: String { "Namespace, as tenant/namespace." }
  static var example: String { "demo/orders" }
  var policyPath: String { "namespaces/\(path)" }
}

extension TopicArgument: PolicyTarget {
  static var noun: String { "topics" }
  static var hint: String { "Topic." }
  static var example: String { "demo/orders/created" }
  var policyPath: String { path }
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

  struct Get<Policy: PolicyOptions>: AsyncParsableCommand {
    static var configuration: CommandConfiguration {
      CommandConfiguration(
        commandName: "get-\(Policy.name)", abstract: "Show \(Policy.what).",
        discussion: "Example: meridian \(Target.noun) get-\(Policy.name) \(Target.example)")
    }
    @OptionGroup var options: AdminOptions
    @Argument(help: ArgumentHelp(stringLiteral: Target.hint)) var target: Target

    func run() async throws {
      try await options.withSession {
        try await $0.printObject("\(target.policyPath)/\(Policy.resource)", json: options.json)
      }
    }
  }

  struct Set<Policy: PolicyOptions>: AsyncParsableCommand {
    static var configuration: CommandConfiguration {
      CommandConfiguration(
        commandName: "set-\(Policy.name)", abstract: "Set \(Policy.what).",
        discussion: "Example: meridian \(Target.noun) set-\(Policy.name) \(Target.example) \(Policy.example)")
    }
    @OptionGroup var options: AdminOptions
    @OptionGroup var policy: Policy
    @Argument(help: ArgumentHelp(stringLiteral: Target.hint)) var target: Target

    func run() async throws {
      try await options.withSession {
        try await $0.send(.post, "\(target.policyPath)/\(Policy.resource)", body: policy.body)
      }
    }
  }

  struct Remove<Policy: PolicyOptions>: AsyncParsableCommand {
    static var configuration: CommandConfiguration {
      CommandConfiguration(
        commandName: "remove-\(Policy.name)", abstract: "Remove \(Policy.what).",
        discussion: "Example: meridian \(Target.noun) remove-\(Policy.name) \(Target.example)")
    }
    @OptionGroup var options: AdminOptions
    @Argument(help: ArgumentHelp(stringLiteral: Target.hint)) var target: Target

    func run() async throws {
      try await options.withSession {
        try await $0.send(.delete, "\(target.policyPath)/\(Policy.resource)")
      }
    }
  }
}

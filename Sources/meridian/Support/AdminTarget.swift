import ArgumentParser

/// What a verb acts on, and the region that has it.
protocol AdminTarget: ParsableArguments {
  var options: AdminOptions { get }
  /// Its path below `/admin/v2/`.
  var path: String { get }
}

/// Everything of a kind in the region.
struct RegionTarget: AdminTarget {
  @OptionGroup var options: AdminOptions

  var path: String { "" }
}

/// A region that this one knows.
struct ClusterTarget: AdminTarget {
  @OptionGroup var options: AdminOptions
  @Argument(help: "Name of the region.") var cluster: String

  var path: String { "clusters/\(AdminSession.escape(cluster))" }
}

/// A tenant.
struct TenantTarget: AdminTarget {
  @OptionGroup var options: AdminOptions
  @Argument(help: "Name of the tenant.") var tenant: String

  var path: String { "tenants/\(AdminSession.escape(tenant))" }
}

/// A namespace.
struct NamespaceTarget: AdminTarget {
  @OptionGroup var options: AdminOptions
  @Argument(help: "Namespace, as tenant/namespace.") var namespace: NamespaceArgument

  var path: String { "namespaces/\(namespace.path)" }
}

/// A topic.
struct TopicTarget: AdminTarget {
  @OptionGroup var options: AdminOptions
  @Argument(help: TopicArgument.help) var topic: TopicArgument

  var path: String { topic.path }
}

/// A subscription of a topic.
struct SubscriptionTarget: AdminTarget {
  @OptionGroup var options: AdminOptions
  @Option(name: [.customShort("s"), .customLong("subscription")], help: "Subscription.") var subscription: String
  @Argument(help: TopicArgument.help) var topic: TopicArgument

  var path: String { "\(topic.path)/subscription/\(AdminSession.escape(subscription))" }
}

extension TopicArgument {
  fileprivate static let help = ArgumentHelp(
    "Topic: persistent://tenant/namespace/topic, tenant/namespace/topic, or a name in public/default.")
}

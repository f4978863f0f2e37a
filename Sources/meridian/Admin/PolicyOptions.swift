import ArgumentParser

/// What clients may publish to a topic.
struct PublishRateOptions: PolicyOptions {
  static var name: String { "publish-rate" }
  static var resource: String { "publishRate" }
  static var what: String { "how much clients may publish to each topic in a second" }
  static var example: String { "--msg-publish-rate 1000" }

  @Option(
    name: [.customShort("m"), .customLong("msg-publish-rate")], parsing: .unconditional,
    help: "Messages in a second; -1 is no limit.")
  var messages: Int64 = -1
  @Option(
    name: [.customShort("b"), .customLong("byte-publish-rate")], parsing: .unconditional,
    help: "Bytes in a second; -1 is no limit.")
  var bytes: Int64 = -1

  var body: JSONValue {
    .object(["publishThrottlingRateInMsg": .integer(messages), "publishThrottlingRateInByte": .integer(bytes)])
  }
}

/// The options that all dispatch rates share.
struct DispatchRateArguments: ParsableArguments {
  @Option(
    name: [.customLong("md", withSingleDash: true), .customLong("msg-dispatch-rate")], parsing: .unconditional,
    help: "Messages in each period; -1 is no limit.")
  var messages: Int64 = -1
  @Option(
    name: [.customLong("bd", withSingleDash: true), .customLong("byte-dispatch-rate")], parsing: .unconditional,
    help: "Bytes in each period; -1 is no limit.")
  var bytes: Int64 = -1
  @Option(
    name: [.customLong("dt", withSingleDash: true), .customLong("dispatch-rate-period")],
    help: "Length of the period in seconds.")
  var period: Int64 = 1
  @Flag(
    name: [.customLong("rp", withSingleDash: true), .customLong("relative-to-publish-rate")],
    help: "Add the limits to what is published.")
  var isRelative = false

  var body: JSONValue {
    .object([
      "dispatchThrottlingRateInMsg": .integer(messages), "dispatchThrottlingRateInByte": .integer(bytes),
      "ratePeriodInSecond": .integer(period), "relativeToPublishRate": .bool(isRelative),
    ])
  }
}

/// What is dispatched from a topic.
struct TopicDispatchRateOptions: PolicyOptions {
  static var name: String { "dispatch-rate" }
  static var resource: String { "dispatchRate" }
  static var what: String { "how much is dispatched from each topic" }
  static var example: String { "--msg-dispatch-rate 1000" }
  @OptionGroup var rate: DispatchRateArguments
  var body: JSONValue { rate.body }
}

/// What is dispatched from a subscription.
struct SubscriptionDispatchRateOptions: PolicyOptions {
  static var name: String { "subscription-dispatch-rate" }
  static var resource: String { "subscriptionDispatchRate" }
  static var what: String { "how much is dispatched from each subscription" }
  static var example: String { "--byte-dispatch-rate 1048576" }
  @OptionGroup var rate: DispatchRateArguments
  var body: JSONValue { rate.body }
}

/// What is sent to another region.
struct ReplicatorDispatchRateOptions: PolicyOptions {
  static var name: String { "replicator-dispatch-rate" }
  static var resource: String { "replicatorDispatchRate" }
  static var what: String { "how much of each topic is sent to each other region (stored, not enforced yet)" }
  static var example: String { "--byte-dispatch-rate 1048576" }
  @OptionGroup var rate: DispatchRateArguments
  var body: JSONValue { rate.body }
}

/// How often a consumer may subscribe.
struct SubscribeRateOptions: PolicyOptions {
  static var name: String { "subscribe-rate" }
  static var resource: String { "subscribeRate" }
  static var what: String { "how often each consumer may subscribe" }
  static var example: String { "--subscribe-rate 10 --subscribe-rate-period 30" }

  @Option(
    name: [.customLong("sr", withSingleDash: true), .customLong("subscribe-rate")], parsing: .unconditional,
    help: "Attempts in each period; -1 is no limit.")
  var attempts: Int64 = -1
  @Option(
    name: [.customLong("st", withSingleDash: true), .customLong("subscribe-rate-period")],
    help: "Length of the period in seconds.")
  var period: Int64 = 30

  var body: JSONValue {
    .object(["subscribeThrottlingRatePerConsumer": .integer(attempts), "ratePeriodInSecond": .integer(period)])
  }
}

/// How many bookies hold an entry.
struct PersistenceOptions: PolicyOptions {
  static var name: String { "persistence" }
  static var resource: String { "persistence" }
  static var what: String { "how many bookies hold an entry, and how often cursors are saved" }
  static var example: String { "-e 3 -w 3 -a 2" }

  @Option(name: [.customShort("e"), .customLong("bookkeeper-ensemble")], help: "Bookies of a ledger.")
  var ensemble: Int64 = 2
  @Option(name: [.customShort("w"), .customLong("bookkeeper-write-quorum")], help: "Copies of each entry.")
  var writeQuorum: Int64 = 2
  @Option(
    name: [.customShort("a"), .customLong("bookkeeper-ack-quorum")],
    help: "Copies that are synced before an entry is acknowledged.")
  var ackQuorum: Int64 = 2
  @Option(
    name: [.customShort("r"), .customLong("ml-mark-delete-max-rate")],
    help: "How often a cursor is saved in a second at most; 0 leaves it to the broker.")
  var markDeleteRate: Double = 0

  var body: JSONValue {
    .object([
      "bookkeeperEnsemble": .integer(ensemble), "bookkeeperWriteQuorum": .integer(writeQuorum),
      "bookkeeperAckQuorum": .integer(ackQuorum), "managedLedgerMaxMarkDeleteRate": .number(markDeleteRate),
    ])
  }
}

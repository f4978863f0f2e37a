/// The stats of a topic for a person: totals, then a row for each subscription and each replicator.
enum TopicStatsOutput {
  static func print(_ stats: JSONValue, json: Bool) throws {
    if json {
      try JSONOutput.print(stats)
      return
    }
    var totals = Table("FIELD", "VALUE")
    for key in [
      "msgRateIn", "msgThroughputIn", "msgRateOut", "msgThroughputOut", "msgInCounter", "bytesInCounter",
      "msgOutCounter",
      "bytesOutCounter", "storageSize", "backlogSize", "deduplicationStatus",
    ] where stats[key] != .null {
      totals.add(key, stats[key].text)
    }
    totals.add("producers", String(stats["publishers"].array.count))
    totals.print()

    if !stats["subscriptions"].object.isEmpty {
      Swift.print()
      var table = Table([
        ("SUBSCRIPTION", .left), ("TYPE", .left), ("BACKLOG", .right), ("UNACKED", .right), ("RATE OUT", .right),
        ("CONSUMERS", .right),
      ])
      for (name, value) in stats["subscriptions"].object.sorted(by: { $0.key < $1.key }) {
        table.add(
          name, value["type"].text, value["msgBacklog"].text, value["unackedMessages"].text, value["msgRateOut"].text,
          String(value["consumers"].array.count))
      }
      table.print()
    }
    if !stats["replication"].object.isEmpty {
      Swift.print()
      var table = Table([
        ("REGION", .left), ("CONNECTED", .left), ("BACKLOG", .right), ("DELAY s", .right), ("RATE OUT", .right),
        ("RATE IN", .right),
      ])
      for (name, value) in stats["replication"].object.sorted(by: { $0.key < $1.key }) {
        table.add(
          name, value["connected"].text, value["replicationBacklog"].text, value["replicationDelayInSeconds"].text,
          value["msgRateOut"].text, value["msgRateIn"].text)
      }
      table.print()
    }
  }
}

import Broker
import TopicLog

/// Stats, internal stats and last message ids of topics.
struct TopicStatsRoutes {
  var services: AdminServices
  var domain: TopicDomain

  func register(_ routes: inout RouteBuilder) {
    let services = services
    let domain = domain
    let one = "\(AdminRoutes.base)/\(domain.rawValue)/:tenant/:namespace/:topic"

    routes.get("\(one)/stats") { request in
      let topic = try request.topic(domain)
      try await Self.refusePartitioned(topic, "partitioned-stats", services)
      return try .json(await services.broker.topicStats(topic, try Self.options(request)))
    }
    routes.get("\(one)/partitioned-stats") { request in
      let topic = try request.topic(domain)
      let metadata = try await services.partitionedTopic(topic)
      let options = try Self.options(request)
      var stats: [String: TopicStats] = [:]
      try await services.forEachPart(of: topic) { part in
        stats[part.description] = try await services.broker.topicStats(part, options)
      }
      return try .json(
        PartitionedTopicStats(
          metadata: metadata, partitions: stats, perPartition: try request.flag("perPartition", default: true)))
    }
    routes.get("\(one)/internalStats") { request in
      let topic = try request.topic(domain)
      try await Self.refusePartitioned(topic, "partitioned-internalStats", services)
      return try .json(await services.broker.topicInternalStats(topic))
    }
    routes.get("\(one)/partitioned-internalStats") { request in
      let topic = try request.topic(domain)
      let metadata = try await services.partitionedTopic(topic)
      var stats: [String: TopicInternalStats] = [:]
      try await services.forEachPart(of: topic) { part in
        stats[part.description] = try await services.broker.topicInternalStats(part)
      }
      return try .json(PartitionedTopicInternalStats(metadata: metadata, partitions: stats))
    }
    routes.get("\(one)/internal-info") { request in
      let topic = try request.topic(domain)
      try await Self.refusePartitioned(topic, "partitioned-internalStats", services)
      return try .json(InternalInfo(try await services.broker.topicInternalStats(topic)))
    }
    routes.get("\(one)/lastMessageId") { request in
      let topic = try request.topic(domain)
      try await Self.refusePartitioned(topic, "lastMessageId of a partition", services)
      return try .json(MessageIDBody(try await services.broker.lastMessageID(of: topic)))
    }
    routes.put("\(one)/backlogSize") { request in
      let from = try request.json(MessageIDBody.self, "message id")
      return try .json(await services.broker.backlogSize(of: try request.topic(domain), from: from.position))
    }
  }

  private static func options(_ request: AdminRequest) throws -> StatsOptions {
    var options = StatsOptions()
    options.getPreciseBacklog = try request.flag("getPreciseBacklog")
    options.subscriptionBacklogSize = try request.flag("subscriptionBacklogSize", default: true)
    options.getEarliestTimeInBacklog = try request.flag("getEarliestTimeInBacklog")
    options.excludePublishers = try request.flag("excludePublishers")
    options.excludeConsumers = try request.flag("excludeConsumers")
    return options
  }

  private static func refusePartitioned(_ topic: TopicName, _ instead: String, _ services: AdminServices) async throws {
    if topic.partition == nil, try await services.policies.partitions(of: topic) != nil {
      throw PolicyError(.notFound, "\(topic) is a partitioned topic: ask for \(instead)")
    }
  }
}

/// `internal-info`: where the data of a topic is, without figures.
private struct InternalInfo: Encodable {
  struct Cursor: Encodable {
    var markDelete: String?
    var cursorsLedgerId: Int64
  }

  var version = 1
  var ledgers: [LedgerInfo]
  var cursors: [String: Cursor]

  init(_ stats: TopicInternalStats) {
    ledgers = stats.ledgers
    cursors = stats.cursors.mapValues {
      Cursor(markDelete: $0.markDeletePosition, cursorsLedgerId: $0.cursorLedger)
    }
  }
}

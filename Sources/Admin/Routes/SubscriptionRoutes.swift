import Broker
import TopicLog

/// `…/{topic}/subscriptions` and `…/{topic}/subscription/{name}/…`
struct SubscriptionRoutes {
  var services: AdminServices
  var domain: TopicDomain

  func register(_ routes: inout RouteBuilder) {
    let services = services
    let domain = domain
    let topic = "\(AdminRoutes.base)/\(domain.rawValue)/:tenant/:namespace/:topic"
    let one = "\(topic)/subscription/:subscription"

    routes.get("\(topic)/subscriptions") { request in
      var names: Set<String> = []
      try await services.forEachPart(of: try request.topic(domain)) { part in
        names.formUnion(try await services.broker.subscriptions(of: part))
      }
      return try .json(names.sorted())
    }
    routes.put(one) { request in
      let topic = try request.topic(domain)
      let name = try request.parameter("subscription")
      let start = request.isBodyEmpty ? nil : try request.json(MessageIDBody.self, "message id")
      let isReplicated = try request.flag("replicated")
      var created = false
      var conflict: BrokerError?
      for part in try await services.parts(of: topic) {
        do {
          try await services.broker.createSubscription(
            name, on: part, at: start?.initialPosition ?? .latest, isReplicated: isReplicated,
            properties: start?.properties ?? [:])
          created = true
        } catch let error as BrokerError where error.kind == .conflict {
          conflict = error
        }
      }
      if let conflict, !created { throw conflict }
      return .noContent
    }
    routes.delete(one) { request in
      let force = try request.flag("force")
      let name = try request.parameter("subscription")
      try await services.forEachPart(having: name, of: try request.topic(domain)) { part in
        try await services.broker.deleteSubscription(name, on: part, force: force)
      }
      return .noContent
    }
    registerPositions(&routes, topic, one)
    registerProperties(&routes, one)
  }

  private func registerPositions(_ routes: inout RouteBuilder, _ topic: String, _ one: String) {
    let services = services
    let domain = domain
    routes.post("\(one)/resetcursor") { request in
      let name = try request.parameter("subscription")
      let body = try request.json(MessageIDBody.self, "message id")
      let topic = try request.topic(domain)
      if !body.isEnd, try await services.policies.partitions(of: topic) != nil {
        throw AdminFailure(405, "A position belongs to one partition: name it, or reset by time")
      }
      try await services.forEachPart(having: name, of: topic) { part in
        try await services.broker.resetCursor(
          name, on: part, to: body.position, isExcluded: !body.isEnd && body.isExcluded == true)
      }
      return .noContent
    }
    routes.post("\(one)/resetcursor/:timestamp") { request in
      let name = try request.parameter("subscription")
      let timestamp = try request.number("timestamp")
      try await services.forEachPart(having: name, of: try request.topic(domain)) { part in
        try await services.broker.resetCursor(name, on: part, toTimestampMs: timestamp)
      }
      return .noContent
    }
    routes.post("\(one)/skip/:count") { request in
      let name = try request.parameter("subscription")
      let count = try request.number("count")
      guard count >= 0 else { throw PolicyError(.preconditionFailed, "The number of messages must not be negative") }
      let topic = try request.topic(domain)
      if try await services.policies.partitions(of: topic) != nil {
        throw AdminFailure(405, "Skip messages on a partitioned topic is not allowed: name a partition")
      }
      try await services.broker.skip(Int(clamping: count), of: name, on: topic)
      return .noContent
    }
    routes.post("\(one)/skip_all") { request in
      let name = try request.parameter("subscription")
      try await services.forEachPart(having: name, of: try request.topic(domain)) { part in
        try await services.broker.skipAll(of: name, on: part)
      }
      return .noContent
    }
    routes.post("\(one)/expireMessages") { request in
      let name = try request.parameter("subscription")
      let body = try request.json(MessageIDBody.self, "message id")
      let topic = try request.topic(domain)
      if !body.isEnd, try await services.policies.partitions(of: topic) != nil {
        throw AdminFailure(405, "A position belongs to one partition: name it, or expire by time")
      }
      try await services.forEachPart(having: name, of: topic) { part in
        try await services.broker.expireMessages(
          through: body.position, isExcluded: !body.isEnd && body.isExcluded == true, of: name, on: part)
      }
      return .noContent
    }
    routes.post("\(one)/expireMessages/:seconds") { request in
      let name = try request.parameter("subscription")
      let seconds = try Self.age(request)
      try await services.forEachPart(having: name, of: try request.topic(domain)) { part in
        try await services.broker.expireMessages(olderThanSeconds: seconds, of: name, on: part)
      }
      return .noContent
    }
    routes.post("\(topic)/all_subscription/expireMessages/:seconds") { request in
      let seconds = try Self.age(request)
      try await services.forEachPart(of: try request.topic(domain)) { part in
        try await services.broker.expireMessages(olderThanSeconds: seconds, of: nil, on: part)
      }
      return .noContent
    }
  }

  private static func age(_ request: AdminRequest) throws -> Int {
    let seconds = try request.number("seconds")
    guard seconds >= 0, seconds <= Int64(Int32.max) else {
      throw PolicyError(.preconditionFailed, "\(seconds) s is not an age of messages: expected 0 to \(Int32.max)")
    }
    return Int(seconds)
  }

  private func registerProperties(_ routes: inout RouteBuilder, _ one: String) {
    let services = services
    let domain = domain
    routes.get("\(one)/properties") { request in
      let name = try request.parameter("subscription")
      var properties: [String: String] = [:]
      try await services.forEachPart(of: try request.topic(domain)) { part in
        let stats = try await services.broker.topicStats(part, StatsOptions())
        guard let subscription = stats.subscriptions[name] else {
          throw PolicyError(.notFound, "Subscription not found: \(name)")
        }
        properties.merge(subscription.subscriptionProperties) { $1 }
      }
      return try .json(properties)
    }
    routes.get("\(one)/replicatedSubscriptionStatus") { request in
      let name = try request.parameter("subscription")
      var answer: [String: Bool] = [:]
      try await services.forEachPart(of: try request.topic(domain)) { part in
        let stats = try await services.broker.topicStats(part, StatsOptions())
        guard let subscription = stats.subscriptions[name] else {
          throw PolicyError(.notFound, "Subscription not found: \(name)")
        }
        answer[part.description] = subscription.isReplicated
      }
      return try .json(answer)
    }
    routes.post("\(one)/replicatedSubscriptionStatus") { request in
      guard try request.json(Bool.self, "true or false") == false else {
        throw AdminFailure(405, "Meridian does not replicate subscriptions yet")
      }
      return .noContent
    }
  }
}

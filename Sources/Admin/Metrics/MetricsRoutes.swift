import Broker

/// `/metrics` in Prometheus' text format.
struct MetricsRoutes {
  var services: AdminServices

  func register(_ routes: inout RouteBuilder) {
    let services = services
    let storage = services.sources.storage.map { StorageMetrics($0) }
    let scrape: RouteBuilder.Handler = { _ in
      let topics = await services.broker.loadedTopicStats(StatsOptions()).sorted { $0.key < $1.key }
        .map { (topic: $0.key, stats: $0.value) }
      var metrics = TopicMetrics(cluster: services.localCluster)
      metrics.addSums(topics)
      for (topic, stats) in topics { metrics.add(topic, stats) }
      var samples = [
        MetricSample(
          "pulsar_version_info", 1,
          labels: [.init("cluster", services.localCluster), .init("version", services.configuration.version)])
      ]
      samples += metrics.samples
      if let storage { samples += await storage.samples() }
      for source in services.sources.metrics { samples += await source() }
      return .text(PrometheusText.render(samples), contentType: PrometheusText.contentType)
    }
    routes.get("/metrics", scrape)
    routes.get("/metrics/", scrape)
  }
}

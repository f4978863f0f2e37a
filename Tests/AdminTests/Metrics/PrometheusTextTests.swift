import Broker
import Testing

@testable import Admin

@Suite("Prometheus text")
struct PrometheusTextTests {
  @Test("Types once, labels escaped, bad names left out")
  func rendering() {
    let text = PrometheusText.render([
      MetricSample("a_total", 3, labels: [.init("x", "q\"\\\n")], kind: .counter),
      MetricSample("b", 1.5),
      MetricSample("a_total", 4, kind: .counter),
      MetricSample("bad name", 1),
      MetricSample("c", .infinity, labels: [.init("0bad", "v")]),
    ])
    #expect(
      text == """
        # TYPE a_total counter
        a_total{x="q\\"\\\\\\n"} 3
        a_total 4
        # TYPE b gauge
        b 1.5
        # TYPE c gauge
        c +Inf

        """)
  }

  @Test("A topic's metrics carry Pulsar's names and labels")
  func topic() throws {
    var stats = TopicStats()
    stats.msgInCounter = 9
    stats.subscriptions["s"] = SubscriptionStats()
    stats.subscriptions["s"]?.msgBacklog = 4
    stats.replication["eu"] = ReplicatorStats()
    stats.replication["eu"]?.replicationBacklog = 8
    var metrics = TopicMetrics(cluster: "us")
    let topic = try TopicName("persistent://t/n/x-partition-0")
    metrics.add(topic, stats)
    metrics.addSums([(topic, stats)])
    let text = PrometheusText.render(metrics.samples)
    let labels = #"cluster="us",namespace="t/n",topic="persistent://t/n/x-partition-0""#
    #expect(text.contains("pulsar_in_messages_total{\(labels)} 9\n"))
    #expect(text.contains("pulsar_subscription_back_log{\(labels),subscription=\"s\"} 4\n"))
    #expect(text.contains("pulsar_replication_backlog{\(labels),remote_cluster=\"eu\"} 8\n"))
    #expect(text.contains("pulsar_replication_disconnected_count{\(labels),remote_cluster=\"eu\"} 1\n"))
    #expect(text.contains("pulsar_broker_topics_count{cluster=\"us\"} 1\n"))
  }
}

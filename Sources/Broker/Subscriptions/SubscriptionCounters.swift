/// What is counted for a whole subscription, also over consumers that left.
struct SubscriptionCounters: Sendable {
  var out = RateMeter()
  var redelivered = RateMeter()
  var acknowledged = RateMeter()
  var expired = RateMeter()
  var chunks = RateMeter()
  var lastExpireMs: Int64 = 0
  var lastFlowMs: Int64 = 0
  var lastConsumedMs: Int64 = 0
  var lastAckedMs: Int64 = 0
  var lastMarkDeleteAdvancedMs: Int64 = 0
}

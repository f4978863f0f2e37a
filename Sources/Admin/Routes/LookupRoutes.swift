import Broker

/// `/lookup/v2/topic/{domain}/{tenant}/{namespace}/{topic}`: where clients with an HTTP service URL find a topic's broker.
struct LookupRoutes {
  /// Clients read `brokerUrlTls` without asking whether it is there: every field is always sent, empty where unknown.
  struct Answer: Codable, Equatable {
    var brokerUrl: String
    var brokerUrlTls: String
    var httpUrl: String
    var httpUrlTls: String
    var nativeUrl: String
  }

  var services: AdminServices
  var domain: TopicDomain

  func register(_ routes: inout RouteBuilder) {
    let services = services
    let domain = domain
    let one = "/lookup/v2/topic/\(domain.rawValue)/:tenant/:namespace/:topic"
    routes.get(one) { request in
      let address = try await services.broker.lookup(try request.topic(domain))
      return try .json(
        Answer(
          brokerUrl: address.serviceURL, brokerUrlTls: address.serviceURLTLS, httpUrl: address.webServiceURL,
          httpUrlTls: address.webServiceURLTLS, nativeUrl: address.serviceURL))
    }
    routes.get("\(one)/bundle") { request in
      let policies = try await services.policies.policies(for: try request.namespace)
      let bounds = policies.bundles?.boundaries ?? []
      let hash = Self.hash(try request.topic(domain).description)
      let numbers = bounds.compactMap { UInt32($0.dropFirst(2), radix: 16) }
      guard numbers.count > 1, numbers.count == bounds.count else { return .text("0x00000000_0xffffffff") }
      let upper = numbers.dropFirst().firstIndex { hash < $0 } ?? numbers.count - 1
      return .text("\(bounds[upper - 1])_\(bounds[upper])")
    }
  }

  /// CRC-32 (the polynomial of zip), by which Pulsar assigns topics to bundles.
  static func hash(_ text: String) -> UInt32 {
    var crc = UInt32.max
    for byte in text.utf8 {
      crc ^= UInt32(byte)
      for _ in 0..<8 { crc = crc & 1 == 1 ? crc >> 1 ^ 0xedb8_8320 : crc >> 1 }
    }
    return ~crc
  }
}

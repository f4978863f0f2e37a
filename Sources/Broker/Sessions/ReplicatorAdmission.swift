import PulsarWire
import Transport

/// Who may open a stream of another region: only that region, shown by its certificate.
///
/// A stream is believed in what it says of the region's positions: a forged epoch would shut the true one out, a forged
/// watermark would make the true one skip messages. So nothing but a verified certificate counts, and all that the
/// connection and the stream say of themselves must agree with it.
struct ReplicatorAdmission: Sendable {
  /// Whether the connection is TLS.
  var isTLS: Bool
  /// What the handshake said of the other end.
  var certificate: TLSPeer?
  /// The region that the connection introduced itself as.
  var declared: ProtoMeridianPeer?
  /// Whether a Pulsar cluster's replicator needs a certificate too.
  var pulsarNeedsCertificate: Bool

  /// Why a producer is not let in; `nil` if it may come, or is none of another region.
  func refusal(of spec: ProducerSpec) -> BrokerError? {
    if let stream = spec.stream {
      guard let declared else {
        return BrokerError(.unauthorized, "A stream needs a connection that introduced itself as a region")
      }
      guard declared.region == stream.region, declared.incarnation == stream.incarnation else {
        return BrokerError(
          .unauthorized,
          "A stream of \(stream.region)#\(stream.incarnation) came over a connection of "
            + "\(declared.region)#\(declared.incarnation)")
      }
      return refusal(ofRegion: stream.region)
    }
    guard pulsarNeedsCertificate, let cluster = spec.pulsarCluster else { return nil }
    return refusal(ofRegion: cluster)
  }

  private func refusal(ofRegion region: String) -> BrokerError? {
    let demand =
      "Replication from region '\(region)' needs a TLS connection with a verified client certificate that names it"
    guard isTLS else { return BrokerError(.unauthorized, "\(demand): this connection is not TLS") }
    guard let certificate, certificate.isVerified else {
      return BrokerError(
        .unauthorized, "\(demand): none was shown, or this broker trusts no authority to verify one by")
    }
    let names = [certificate.commonName].compactMap { $0 } + certificate.dnsNames
    guard !region.isEmpty, names.contains(region) else {
      return BrokerError(.unauthorized, "\(demand): the one shown names \(names.joined(separator: ", "))")
    }
    return nil
  }
}

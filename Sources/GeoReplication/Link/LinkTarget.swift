import Broker
import PulsarClient
import Transport

/// Where a link leads and how its connections are secured, as the cluster's record says.
struct LinkTarget: Sendable, Equatable {
  /// Any broker of the region.
  var address: ServiceAddress
  /// What connections are physically made to, if not to the brokers themselves.
  var proxy: ServiceAddress?
  /// Certificates, if connections are TLS.
  var tls: TLSConfiguration?

  /// Why a record does not lead anywhere.
  struct Fault: Error, CustomStringConvertible {
    var description: String
  }

  /// The target of a cluster's record; files that it does not name are those of `defaults`.
  init(cluster: String, record: ClusterData?, defaults: TLSConfiguration?) throws(Fault) {
    guard let record else {
      throw Fault(description: "this region has no record of cluster \(cluster): create it with `clusters create`")
    }
    let plain = record.brokerServiceUrl.flatMap { $0.isEmpty ? nil : $0 }
    let secure = record.brokerServiceUrlTls.flatMap { $0.isEmpty ? nil : $0 }
    let field = record.brokerClientTlsEnabled ? "brokerServiceUrlTls" : "brokerServiceUrl"
    guard let url = record.brokerClientTlsEnabled ? secure : plain ?? secure else {
      throw Fault(description: "the record of cluster \(cluster) has no \(field)")
    }
    do {
      address = try ServiceAddress(url)
      if let proxy = record.proxyServiceUrl, !proxy.isEmpty {
        self.proxy = try ServiceAddress(proxy)
      }
    } catch {
      throw Fault(description: "the record of cluster \(cluster) cannot be used: \(error)")
    }
    guard address.isTLS else { return }
    var tls = defaults ?? TLSConfiguration()
    tls.clientAuth = .none
    tls.verification = record.tlsAllowInsecureConnection ? .none : .fullHostname
    if let file = record.brokerClientTrustCertsFilePath, !file.isEmpty { tls.trustRootsFile = file }
    if let file = record.brokerClientCertificateFilePath, !file.isEmpty { tls.certificateChainFile = file }
    if let file = record.brokerClientKeyFilePath, !file.isEmpty { tls.privateKeyFile = file }
    self.tls = tls
  }
}

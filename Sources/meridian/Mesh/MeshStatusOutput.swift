import Mesh

/// The status of a mesh as two tables.
enum MeshStatusOutput {
  static func print(_ status: MeshStatus) {
    var regions = Table("REGION", "STATE", "PID", "PULSAR", "PULSAR TLS", "ADMIN")
    for region in status.regions {
      regions.add(
        region.name, region.state, region.pid.map { String($0) } ?? "-", region.pulsarUrl, region.pulsarTlsUrl,
        region.adminUrl)
    }
    regions.print()
    guard !status.links.isEmpty else { return }
    Swift.print()
    var links = Table([
      ("LINK", .left), ("STATE", .left), ("WAN RTT", .right), ("JITTER", .right), ("BANDWIDTH", .right), ("WHY", .left),
    ])
    for link in status.links {
      links.add(
        "\(link.from)->\(link.to)", link.isCut ? "\(link.state) (path cut)" : link.state,
        Humanize.fixed(link.rttMs, digits: 1) + "ms", Humanize.fixed(link.jitterMs, digits: 1) + "ms",
        link.bandwidth.map { Humanize.fixed(Double($0) / 1e6, digits: 1) + "MB/s" } ?? "-", link.reason ?? "")
    }
    links.print()
  }
}

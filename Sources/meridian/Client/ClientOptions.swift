import ArgumentParser
import Foundation
import Mesh
import NIOCore
import NIOPosix
import PulsarClient
import Transport

/// How a command finds the region that it publishes to or consumes from.
struct ClientOptions: ParsableArguments {
  @Option(
    name: .customLong("service-url"),
    help: ArgumentHelp(
      "Pulsar address of the region, such as pulsar://localhost:6650.",
      discussion: "Without it: MERIDIAN_SERVICE_URL, then pulsar://localhost:6650.", valueName: "url"))
  var serviceURL: String?

  @Option(help: ArgumentHelp("Certificates to trust (PEM); the system's without it.", valueName: "file"))
  var tlsTrust: String?
  @Option(help: ArgumentHelp("The client's own certificate chain (PEM).", valueName: "file")) var tlsCert: String?
  @Option(help: ArgumentHelp("The key of that certificate (PEM).", valueName: "file")) var tlsKey: String?

  func validate() throws {
    guard (tlsCert == nil) == (tlsKey == nil) else {
      throw ValidationError("--tls-cert and --tls-key go together")
    }
  }

  /// The address in force.
  var address: String {
    serviceURL ?? ProcessInfo.processInfo.environment["MERIDIAN_SERVICE_URL"] ?? "pulsar://localhost:6650"
  }

  /// A client for the region.
  func makeClient(group: any EventLoopGroup = MultiThreadedEventLoopGroup.singleton) throws -> PulsarClient {
    var configuration = ClientConfiguration()
    // Somebody is waiting at the prompt.
    configuration.operationTimeout = .seconds(10)
    if tlsTrust != nil || tlsCert != nil {
      configuration.tls = TLSConfiguration(
        certificateChainFile: tlsCert, privateKeyFile: tlsKey, trustRootsFile: tlsTrust)
    }
    return try PulsarClient(serviceURL: address, configuration: configuration, group: group)
  }
}

/// A duration on the command line, such as `500ms` or `5s`.
struct DurationArgument: ExpressibleByArgument {
  let amount: TimeAmount

  init?(argument: String) {
    guard let amount = Quantity.duration(argument) else { return nil }
    self.amount = amount
  }

  var seconds: Double { Double(amount.nanoseconds) / 1e9 }
}

/// A size in bytes on the command line, such as `100`, `1kib` or `1MB`.
struct SizeArgument: ExpressibleByArgument {
  let bytes: Int

  init(_ bytes: Int) { self.bytes = bytes }

  init?(argument: String) {
    if let bytes = Int(argument) {
      guard bytes >= 0 else { return nil }
      self.bytes = bytes
    } else {
      guard let bytes = Quantity.size(argument), bytes >= 0 else { return nil }
      self.bytes = Int(bytes)
    }
  }

  var defaultValueDescription: String { String(bytes) }
}

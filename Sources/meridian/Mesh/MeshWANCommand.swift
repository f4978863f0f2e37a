import ArgumentParser
import Mesh
import NIOPosix

/// `meridian mesh wan`: changes the emulated WAN between two regions while it carries traffic.
struct MeshWANCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "wan", abstract: "Change the WAN between two regions of the mesh.",
    discussion: """
      Examples:

        meridian mesh wan us eu --rtt 150ms --jitter 5ms --bandwidth 100mbit
        meridian mesh wan us eu --cut        nothing passes, connections stay open
        meridian mesh wan us eu --heal
        meridian mesh wan us eu --reset      every connection ends with a TCP reset
        meridian mesh wan us eu --cut --one-way   only what us sends to eu is lost
      """)

  @Argument(help: "One region; with --one-way, the one that sends.") var from: String
  @Argument(help: "The other region.") var to: String
  @OptionGroup var mesh: MeshOptions
  @Option(help: "Round-trip time, such as 150ms.") var rtt: String?
  @Option(help: "Largest time added at random to each direction.") var jitter: String?
  @Option(help: "Rate of each direction, such as 100mbit or 40MB; 0 lifts the limit.") var bandwidth: String?
  @Flag(help: "Let nothing pass.") var cut = false
  @Flag(help: "Let everything pass again.") var heal = false
  @Flag(help: "Reset the connections that pass.") var reset = false
  @Flag(name: .customLong("one-way"), help: "Change only the direction from the first region to the second.")
  var oneWay = false

  func validate() throws {
    guard !(cut && heal) else { throw ValidationError("give either --cut or --heal") }
    guard cut || heal || reset || rtt != nil || jitter != nil || bandwidth != nil else {
      throw ValidationError("nothing to change; give --rtt, --jitter, --bandwidth, --cut, --heal or --reset")
    }
  }

  func run() async throws {
    var change = WANChange(from: from, to: to)
    change.oneWay = oneWay
    change.roundTripNanoseconds = try rtt.map { try duration($0, "--rtt") }
    change.jitterNanoseconds = try jitter.map { try duration($0, "--jitter") }
    if let bandwidth {
      if bandwidth == "0" {
        change.bandwidth = 0
      } else if let rate = Quantity.rate(bandwidth), (125...125_000_000_000).contains(rate) {
        change.bandwidth = rate
      } else {
        throw ValidationError("--bandwidth must be a rate from 1kbit to 1000gbit, such as 100mbit or 40MB, or 0")
      }
    }
    if cut { change.cut = true }
    if heal { change.cut = false }
    change.reset = reset
    if case .done(let text) = try await mesh.client.call(.wan(change)) { print(text) }
  }

  private func duration(_ text: String, _ option: String) throws -> Int64 {
    guard let value = Quantity.duration(text) else {
      throw ValidationError("\(option) must be a duration such as 150ms")
    }
    return value.nanoseconds
  }
}

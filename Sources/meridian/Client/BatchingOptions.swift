import ArgumentParser
import Compression
import NIOCore
import PulsarClient

extension CompressionCodec: ExpressibleByArgument {
  /// The codec of that name.
  public init?(argument: String) {
    switch argument {
    case "none": self = .none
    case "lz4": self = .lz4
    case "zlib": self = .zlib
    case "zstd": self = .zstd
    default: return nil
    }
  }

  /// The names.
  public static var allValueStrings: [String] { ["none", "lz4", "zstd", "zlib"] }

  /// The name, as help shows it.
  public var defaultValueDescription: String {
    switch self {
    case .none: "none"
    case .lz4: "lz4"
    case .zlib: "zlib"
    case .zstd: "zstd"
    }
  }
}

/// How a command's producer publishes.
struct BatchingOptions: ParsableArguments {
  @Flag(inversion: .prefixedNo, help: "Put several messages into one entry.") var batching = true
  @Option(help: ArgumentHelp("Bytes in a batch, at most.", valueName: "size")) var batchMaxBytes = SizeArgument(
    128 << 10)
  @Option(help: "Messages in a batch, at most.") var batchMaxMessages = 1000
  @Option(help: ArgumentHelp("How long a batch waits for more messages.", valueName: "duration"))
  var batchDelay = "1ms"
  @Option(help: "Compression of the payloads.") var compression = CompressionCodec.none

  func validate() throws {
    guard DurationArgument(argument: batchDelay) != nil else {
      throw ValidationError("--batch-delay must be a duration such as 1ms")
    }
    guard batchMaxMessages > 0, batchMaxBytes.bytes > 0 else {
      throw ValidationError("--batch-max-messages and --batch-max-bytes must be 1 or more")
    }
  }

  var configuration: ProducerConfiguration {
    var configuration = ProducerConfiguration()
    configuration.batchingEnabled = batching
    configuration.batchingMaxBytes = batchMaxBytes.bytes
    configuration.batchingMaxMessages = batchMaxMessages
    configuration.batchingMaxPublishDelay = DurationArgument(argument: batchDelay)?.amount ?? .milliseconds(1)
    configuration.compression = compression
    return configuration
  }
}

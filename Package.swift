// swift-tools-version: 6.2
import Foundation
import PackageDescription

// Warnings fail the build where it counts (CI), and only there: a newer compiler must not lock a user out.
let strict: [SwiftSetting] =
  ProcessInfo.processInfo.environment["CI"] == nil ? [] : [.treatAllWarnings(as: .error)]

let nio: Target.Dependency = .product(name: "NIOCore", package: "swift-nio")
let nioPosix: Target.Dependency = .product(name: "NIOPosix", package: "swift-nio")
let nioEmbedded: Target.Dependency = .product(name: "NIOEmbedded", package: "swift-nio")
let concurrencyHelpers: Target.Dependency = .product(name: "NIOConcurrencyHelpers", package: "swift-nio")
let protobuf: Target.Dependency = .product(name: "SwiftProtobuf", package: "swift-protobuf")
let logging: Target.Dependency = .product(name: "Logging", package: "swift-log")
let deque: Target.Dependency = .product(name: "DequeModule", package: "swift-collections")
let heap: Target.Dependency = .product(name: "HeapModule", package: "swift-collections")
let ordered: Target.Dependency = .product(name: "OrderedCollections", package: "swift-collections")
let atomics: Target.Dependency = .product(name: "Atomics", package: "swift-atomics")
let histogram: Target.Dependency = .product(name: "Histogram", package: "hdrhistogram-swift")
let hummingbird: Target.Dependency = .product(name: "Hummingbird", package: "hummingbird")
let hummingbirdCore: Target.Dependency = .product(name: "HummingbirdCore", package: "hummingbird")
let nioHTTP1: Target.Dependency = .product(name: "NIOHTTP1", package: "swift-nio")
let arguments: Target.Dependency = .product(name: "ArgumentParser", package: "swift-argument-parser")
let grpc: Target.Dependency = .product(name: "GRPCCore", package: "grpc-swift-2")
let grpcHTTP2: Target.Dependency = .product(name: "GRPCNIOTransportHTTP2Posix", package: "grpc-swift-nio-transport")
let yams: Target.Dependency = .product(name: "Yams", package: "Yams")

/// A floor of the house: it may import only what is listed, and only floors below it (see ARCHITECTURE.md).
func floor(_ name: String, _ dependencies: [Target.Dependency], exclude: [String] = []) -> Target {
  .target(name: name, dependencies: dependencies, exclude: exclude, swiftSettings: strict)
}

func tests(_ name: String, _ dependencies: [Target.Dependency], exclude: [String] = []) -> Target {
  .testTarget(
    name: "\(name)Tests", dependencies: [.target(name: name), "TestSupport"] + dependencies, exclude: exclude,
    swiftSettings: strict)
}

let package = Package(
  name: "meridian",
  platforms: [.macOS(.v15)],
  products: [
    .executable(name: "meridian", targets: ["meridian"]),
    .library(name: "PulsarClient", targets: ["PulsarClient"]),
  ],
  dependencies: [
    .package(url: "https://github.com/apple/swift-nio", from: "2.101.2"),
    .package(url: "https://github.com/apple/swift-protobuf", from: "1.39.0"),
    .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
    .package(url: "https://github.com/apple/swift-log", from: "1.16.2"),
    .package(url: "https://github.com/apple/swift-collections", from: "1.6.0"),
    .package(url: "https://github.com/apple/swift-atomics", from: "1.3.0"),
    .package(url: "https://github.com/hummingbird-project/hummingbird", from: "2.28.1"),
    .package(url: "https://github.com/grpc/grpc-swift-2", from: "2.4.3"),
    .package(url: "https://github.com/grpc/grpc-swift-nio-transport", from: "2.9.2"),
    .package(url: "https://github.com/jpsim/Yams", from: "6.2.2"),
    .package(url: "https://github.com/HdrHistogram/hdrhistogram-swift", from: "0.2.0"),
  ],
  targets: [
    // Floor 0: system libraries.
    .target(name: "COpenSSL", linkerSettings: [.linkedLibrary("ssl"), .linkedLibrary("crypto")]),
    .target(name: "CChecksums"),
    .systemLibrary(name: "CZstd", pkgConfig: "libzstd", providers: [.apt(["libzstd-dev"])]),
    .systemLibrary(name: "CLZ4", pkgConfig: "liblz4", providers: [.apt(["liblz4-dev"])]),
    .systemLibrary(name: "CZlib", pkgConfig: "zlib", providers: [.apt(["zlib1g-dev"])]),
    .systemLibrary(name: "CRocksDB", providers: [.apt(["librocksdb-dev"])]),

    // Floor 1
    floor("Checksums", ["CChecksums", nio]),
    floor("Compression", ["CZstd", "CLZ4", "CZlib", nio]),
    floor("Transport", ["COpenSSL", nio, nioPosix, concurrencyHelpers, logging]),
    floor("RocksDB", ["CRocksDB", concurrencyHelpers]),
    floor(
      "MetadataStore", ["RocksDB", nio, nioPosix, concurrencyHelpers, logging, protobuf, grpc, grpcHTTP2],
      exclude: ["Protos"]),

    // Floor 2
    floor("PulsarWire", ["Checksums", "Compression", nio, protobuf], exclude: ["Protos"]),
    floor("BookieWire", ["Checksums", nio]),

    // Floor 3
    floor(
      "Bookie",
      [
        "BookieWire", "Checksums", "MetadataStore", "Transport", "RocksDB", nio, nioPosix, concurrencyHelpers, logging,
        deque, atomics,
      ]),
    floor(
      "Ledgers",
      [
        "BookieWire", "Checksums", "MetadataStore", "Transport", nio, nioPosix, concurrencyHelpers, logging, deque,
        protobuf,
      ], exclude: ["Protos"]),

    // Floor 4
    floor(
      "TopicLog",
      ["Ledgers", "MetadataStore", nio, concurrencyHelpers, logging, deque, ordered, protobuf], exclude: ["Protos"]),

    // Floor 5
    floor(
      "Broker",
      [
        "TopicLog", "Ledgers", "MetadataStore", "PulsarWire", "Transport", "Checksums", "Compression", nio, nioPosix,
        concurrencyHelpers, logging, deque, heap, ordered, protobuf, atomics,
      ]),
    floor(
      "PulsarClient",
      [
        "PulsarWire", "Transport", "Checksums", "Compression", nio, nioPosix, concurrencyHelpers, logging, deque,
        protobuf,
      ]),

    // Floor 6
    floor(
      "GeoReplication",
      [
        "Broker", "PulsarClient", "TopicLog", "MetadataStore", "PulsarWire", "Transport", "Checksums", "Compression",
        nio,
        nioPosix, concurrencyHelpers, logging, deque, protobuf,
      ]),

    // Floor 7
    floor(
      "Admin",
      [
        "GeoReplication", "Broker", "TopicLog", "Ledgers", "Bookie", "MetadataStore", "Transport", "PulsarWire",
        "Compression", nio, nioPosix, nioHTTP1, concurrencyHelpers, logging, hummingbird, hummingbirdCore,
      ]),

    // Floor 8
    floor(
      "Mesh",
      [
        "Admin", "GeoReplication", "Broker", "PulsarClient", "Bookie", "Ledgers", "TopicLog", "MetadataStore",
        "Transport", nio, nioPosix, concurrencyHelpers, logging, yams,
      ]),

    // Floor 9
    .executableTarget(
      name: "meridian",
      dependencies: [
        "Mesh", "Admin", "Bookie", "BookieWire", "Broker", "Checksums", "GeoReplication", "Ledgers", "MetadataStore",
        "PulsarClient", "PulsarWire", "Transport", "Compression", nio, nioPosix, concurrencyHelpers, logging, arguments,
        histogram, atomics,
      ], swiftSettings: strict),

    // Tests
    .target(
      name: "TestSupport", dependencies: [nio, nioPosix, concurrencyHelpers, logging], path: "Tests/TestSupport",
      swiftSettings: strict),
    tests("Checksums", ["CChecksums", nio]),
    tests("Compression", [nio]),
    tests("Transport", ["COpenSSL", nio, nioPosix, concurrencyHelpers, logging]),
    tests("RocksDB", []),
    tests("MetadataStore", ["RocksDB", nio, logging]),
    tests("PulsarWire", [nio, protobuf, "Checksums", "Compression"]),
    tests("BookieWire", [nio]),
    tests(
      "Bookie", ["BookieWire", "Checksums", "MetadataStore", "Transport", nio, nioPosix, concurrencyHelpers, logging]),
    tests("Ledgers", ["BookieWire", "Bookie", "MetadataStore", "Transport", nio, nioPosix, logging]),
    tests("TopicLog", ["Ledgers", "Bookie", "MetadataStore", nio, nioPosix, logging]),
    tests(
      "Broker",
      [
        "TopicLog", "Ledgers", "Bookie", "MetadataStore", "PulsarWire", "PulsarClient", nio, nioPosix, nioEmbedded,
        logging, concurrencyHelpers, "Transport", "Checksums",
      ]),
    tests(
      "PulsarClient",
      [
        "Broker", "Ledgers", "Bookie", "MetadataStore", "PulsarWire", "Compression", nio, nioPosix, nioEmbedded,
        logging, concurrencyHelpers,
      ]),
    tests(
      "GeoReplication",
      [
        "Broker", "PulsarClient", "TopicLog", "Ledgers", "Bookie", "MetadataStore", "PulsarWire", "Transport", nio,
        nioPosix, concurrencyHelpers, logging,
      ]),
    tests(
      "Admin",
      [
        "Broker", "GeoReplication", "TopicLog", "Ledgers", "Bookie", "MetadataStore", "PulsarWire", "Transport", nio,
        nioPosix, concurrencyHelpers, logging,
      ]),
    tests("Mesh", ["GeoReplication", "PulsarClient", "Admin", "Ledgers", "Transport", nio, nioPosix, logging]),
    .testTarget(
      name: "FaultTests",
      dependencies: [
        "TestSupport", "Ledgers", "MetadataStore", "Checksums", nio, nioPosix, concurrencyHelpers, logging,
      ], swiftSettings: strict),
    .testTarget(
      name: "SimulationTests", dependencies: ["Bookie", "Ledgers", "BookieWire", nio, logging], swiftSettings: strict),
  ]
)

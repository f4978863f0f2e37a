import Bookie
import Foundation
import Logging
import MetadataStore
import NIOPosix

/// A bookie in this process, with a metadata store of its own, on a directory that is made for the measurement.
final class BookieUnderTest: Sendable {
  let bookie: Bookie
  let directory: String
  private let metadata: RocksDBStore

  var address: BookieAddress { BookieAddress(host: bookie.host, port: bookie.port) }
  var entryLogs: [String] { DiskFiles.files(Self.ledgers(directory), suffix: ".log") }
  var journalFiles: [String] { Self.journalFiles(directory) }

  static func journalFiles(_ directory: String) -> [String] {
    DiskFiles.files(directory + "/bookie/journal", suffix: ".journal")
  }

  private static func ledgers(_ directory: String) -> String { directory + "/bookie/ledgers" }

  private init(_ bookie: Bookie, _ directory: String, _ metadata: RocksDBStore) {
    self.bookie = bookie
    self.directory = directory
    self.metadata = metadata
  }

  /// Starts it; on a directory that has one already, as that one.
  /// - Parameter threads: event loops.
  static func start(
    _ directory: String, group: MultiThreadedEventLoopGroup,
    _ change: @Sendable (inout BookieConfiguration) -> Void = { _ in }
  ) async throws -> BookieUnderTest {
    try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
    let metadata = try await RocksDBStore.open(path: directory + "/metadata")
    var configuration = BookieConfiguration(bookieID: "perf", directory: directory + "/bookie")
    // Its ledgers are in no metadata store: nobody may look for deleted ones.
    configuration.garbageCollectionInterval = .seconds(24 * 3600)
    change(&configuration)
    var logger = Logger(label: "perf")
    logger.logLevel = .error
    let bookie = try await Bookie.start(
      configuration: configuration, metadata: metadata, group: group, logger: logger)
    return BookieUnderTest(bookie, directory, metadata)
  }

  /// Stops it.
  /// - Parameter flushing: whether everything is flushed first; if not, the next start replays the journal.
  func stop(flushing: Bool = true) async throws {
    if flushing { try await bookie.shutdown() } else { try await bookie.abandon() }
    try await metadata.close()
  }

  /// Takes what it has in files out of the page cache.
  func dropCache() {
    DiskFiles.dropCache(entryLogs)
    DiskFiles.dropCache(DiskFiles.files(Self.ledgers(directory) + "/index", suffix: ".sst"))
  }
}

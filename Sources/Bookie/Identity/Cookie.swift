import MetadataStore
import NIOCore

/// What ties directories and a bookie's name together: the same random instance in every directory and in metadata.
///
/// A bookie whose disk was wiped, or which was given another's disk, would answer "no such entry" for entries that it had
/// acknowledged, and recovery would cut ledgers short. So it refuses to start.
struct Cookie: Equatable {
  static let fileName = "bookie-cookie"

  var bookieID: String
  var instance: String
  /// "journal" ("journal 1 of 2" if there are several), or "ledgers 1 of 2".
  var role: String

  var encoded: [UInt8] {
    Array("meridian bookie 1\nid: \(bookieID)\ninstance: \(instance)\nrole: \(role)\n".utf8)
  }

  init(bookieID: String, instance: String, role: String) {
    self.bookieID = bookieID
    self.instance = instance
    self.role = role
  }

  init?(encoded bytes: [UInt8]) {
    let lines = String(decoding: bytes, as: UTF8.self).split(separator: "\n")
    guard lines.count == 4, lines[0] == "meridian bookie 1" else { return nil }
    let values = zip(lines.dropFirst(), ["id: ", "instance: ", "role: "]).compactMap { line, name in
      line.hasPrefix(name) ? String(line.dropFirst(name.count)) : nil
    }
    guard values.count == 3 else { return nil }
    self.init(bookieID: values[0], instance: values[1], role: values[2])
  }
}

/// Checks the cookies at start, and writes them on the very first one.
struct Identity {
  private let configuration: BookieConfiguration
  let files: any StorageFiles

  init(_ configuration: BookieConfiguration) {
    self.configuration = configuration
    files = configuration.environment.files
  }

  private var key: String { "/bookies/cookies/\(configuration.bookieID)" }

  var directories: [(path: String, role: String)] {
    let count = configuration.ledgerDirectories.count
    let journals = configuration.journalDirectories
    return journals.enumerated().map {
      ($1, journals.count == 1 ? "journal" : "journal \($0 + 1) of \(journals.count)")
    }
      + configuration.ledgerDirectories.enumerated().map { ($1, "ledgers \($0 + 1) of \(count)") }
  }

  /// Returns when directories and metadata agree; throws a clear sentence if they do not.
  func verify(metadata: any MetadataStore) async throws {
    try verifyConfiguration()
    let stored = try await metadata.get(key).flatMap { Cookie(encoded: $0.value) }
    guard try await blocking({ try self.isFirstStart(stored: stored) }) else { return }
    let instance = String(UInt64.random(in: 1...UInt64.max), radix: 16)
    let cookie = try await blocking { try self.create(instance: instance) }
    try await register(cookie, metadata)
  }

  private func verifyConfiguration() throws(BookieError) {
    let id = configuration.bookieID
    guard !id.isEmpty, !id.contains(where: { $0 == "/" || $0.isNewline }) else {
      throw BookieError.configuration("A bookie's id must be a name without slashes, and \"\(id)\" is not.")
    }
    guard !configuration.ledgerDirectories.isEmpty else {
      throw BookieError.configuration("Bookie \(id) has no ledger directory; name at least one.")
    }
    guard !configuration.journalDirectories.isEmpty else {
      throw BookieError.configuration("Bookie \(id) has no journal directory; name at least one.")
    }
    guard Set(directories.map(\.path)).count == directories.count else {
      throw BookieError.configuration(
        "Bookie \(id) uses a directory twice; every journal and every ledger directory needs its own.")
    }
  }

  /// Whether the directories are to be made this bookie's, which the cluster does not know yet; false if they are its own
  /// already. Throws if they are neither. Blocks.
  /// - Parameter stored: the bookie's cookie in metadata.
  func isFirstStart(stored: Cookie?) throws(BookieError) -> Bool {
    let id = configuration.bookieID
    let found = try readDirectories()
    guard let first = found.first(where: { $0.cookie != nil }), let known = first.cookie else {
      guard stored == nil else {
        throw BookieError.identity(
          "Bookie \(id) is known to the cluster, but its directories are empty (\(found.map(\.path).joined(separator: ", "))): "
            + "mount the right disks, or, if the data is lost, decommission the bookie and start it under a new id.")
      }
      guard let strange = found.first(where: { !$0.isEmpty }) else { return true }
      throw BookieError.identity(
        "\(strange.path) holds files but no cookie of bookie \(id): point the bookie at empty directories or at its own."
      )
    }
    if stored == nil, found.allSatisfy({ $0.cookie == nil || $0.cookie?.bookieID == id }), try isUnused() {
      // The very first start ended half-way: nothing was ever stored, and the cluster knows nothing yet.
      return true
    }
    for directory in found {
      guard let cookie = directory.cookie else {
        throw BookieError.identity(
          "\(directory.path) has no cookie although \(first.path) is that of bookie \(known.bookieID): "
            + "mount the right disk; an empty one must not replace lost data.")
      }
      guard cookie.bookieID == id, cookie.instance == known.instance, cookie.role == directory.role else {
        throw BookieError.identity(
          "\(directory.path) is \"\(cookie.role)\" of bookie \(cookie.bookieID) (instance \(cookie.instance)), "
            + "not \"\(directory.role)\" of bookie \(id) (instance \(known.instance)): point each bookie at its own directories."
        )
      }
    }
    guard let stored else {
      throw BookieError.identity(
        "The cluster's metadata does not know bookie \(id), whose directories hold data: "
          + "check that this is the right metadata store.")
    }
    guard stored.instance == known.instance else {
      throw BookieError.identity(
        "Bookie \(id) is instance \(stored.instance) to the cluster, but its directories are of instance \(known.instance): "
          + "they belong to another cluster or to an earlier life of the bookie; mount the right disks.")
    }
    return false
  }

  /// Makes the directories this bookie's. Returns the cookie for the metadata. Blocks.
  func create(instance: String) throws(BookieError) -> Cookie {
    let marks = [JournalMark](repeating: JournalMark(), count: configuration.journalDirectories.count)
    try CheckpointFile.write(marks, configuration: configuration)
    for (path, role) in directories {
      let cookie = Cookie(bookieID: configuration.bookieID, instance: instance, role: role)
      try files.replace(path, Cookie.fileName, with: cookie.encoded)
    }
    return Cookie(bookieID: configuration.bookieID, instance: instance, role: "metadata")
  }

  private func register(_ cookie: Cookie, _ metadata: any MetadataStore) async throws {
    try await metadata.put(key, cookie.encoded, expected: .absent)
  }

  private struct Found: Sendable {
    var path: String
    var role: String
    var cookie: Cookie?
    var isEmpty: Bool
  }

  private func readDirectories() throws(BookieError) -> [Found] {
    var found: [Found] = []
    for (path, role) in directories {
      try files.createDirectory(path)
      let names = try files.list(path).filter { $0 != "lost+found" && !$0.hasSuffix(".tmp") && $0 != "lastMark" }
      let bytes = try files.read(path + "/" + Cookie.fileName)
      let cookie = bytes.flatMap { Cookie(encoded: $0) }
      if bytes != nil && cookie == nil { throw .damaged(path: path + "/" + Cookie.fileName, "it is not a cookie") }
      found.append(Found(path: path, role: role, cookie: cookie, isEmpty: names.isEmpty))
    }
    return found
  }

  /// Whether nothing was ever stored in the directories.
  private func isUnused() throws(BookieError) -> Bool {
    for (path, _) in directories {
      let names = try files.list(path)
      if names.contains(where: { $0.hasSuffix(".log") || $0.hasSuffix(".journal") }) { return false }
    }
    return true
  }
}

/// Runs disk work on a thread of its own.
func blocking<R: Sendable>(_ body: @escaping @Sendable () throws -> R) async throws -> R {
  try await withCheckedThrowingContinuation { continuation in
    _ = WorkerThread(name: "bookie-start") { continuation.resume(with: Result { try body() }) }
  }
}

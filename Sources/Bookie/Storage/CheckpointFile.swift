/// The marks from which replay begins, on disk: one for each journal, one behind the other, replaced atomically.
enum CheckpointFile {
  static let name = "lastMark"

  static func write(_ marks: [JournalMark], configuration: BookieConfiguration) throws(BookieError) {
    try configuration.environment.files.replace(
      configuration.indexDirectory, name, with: marks.flatMap { $0.encoded() })
  }

  /// The marks that `bytes` hold; nil if they are damaged.
  static func decode(_ bytes: [UInt8]) -> [JournalMark]? {
    let pieces = stride(from: 0, to: bytes.count, by: JournalMark.byteCount).map {
      JournalMark(encoded: Array(bytes[$0..<min($0 + JournalMark.byteCount, bytes.count)]))
    }
    let marks = pieces.compactMap { $0 }
    return marks.count == pieces.count && !marks.isEmpty ? marks : nil
  }

  static func read(configuration: BookieConfiguration) throws(BookieError) -> [JournalMark] {
    let path = configuration.indexDirectory + "/" + name
    guard let bytes = try configuration.environment.files.read(path) else {
      throw .damaged(
        path: path,
        "it is missing, so that nobody knows where replay must begin; \(BookieError.rebuildHint(configuration))")
    }
    guard let marks = decode(bytes) else {
      throw .damaged(path: path, "its checksum does not fit; \(BookieError.rebuildHint(configuration))")
    }
    guard marks.count == configuration.journalDirectories.count else {
      throw .configuration(
        "\(path) has the marks of \(marks.count) journals, and \(configuration.journalDirectories.count) are configured: "
          + "name the journal directories that the bookie was made with.")
    }
    return marks
  }
}

extension BookieConfiguration {
  /// Where the index and the marks are.
  var indexDirectory: String { ledgerDirectories.first ?? journalDirectory }
}

/// The mark from which replay begins, on disk: replaced atomically.
enum CheckpointFile {
  private static let name = "lastMark"

  static func write(_ mark: JournalMark, configuration: BookieConfiguration) throws(BookieError) {
    try Directory.replace(configuration.indexDirectory, name, with: mark.encoded())
  }

  static func read(configuration: BookieConfiguration) throws(BookieError) -> JournalMark {
    let path = configuration.indexDirectory + "/" + name
    guard let bytes = try Directory.read(path) else {
      throw .damaged(
        path: path, "it is missing, so that nobody knows where replay must begin; restore it from a backup")
    }
    guard let mark = JournalMark(encoded: bytes) else {
      throw .damaged(path: path, "its checksum does not fit; restore it from a backup")
    }
    return mark
  }
}

extension BookieConfiguration {
  /// Where the index and the mark are.
  var indexDirectory: String { ledgerDirectories.first ?? journalDirectory }
}

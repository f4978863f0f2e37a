extension LocationIndex {
  /// Opens the index of a bookie, if it is the whole one.
  ///
  /// An index that is gone, or that has lost its newest part, would deny entries that were acknowledged. So it is made only for
  /// a bookie that has never flushed anything; and the marks that every flush puts into it must have come as far as those
  /// beside it, which are written after it.
  /// - Parameters:
  ///   - marks: the marks on disk.
  ///   - hasLogs: whether there are entry logs.
  static func open(
    configuration: BookieConfiguration, marks: [JournalMark], hasLogs: Bool
  ) throws(BookieError) -> LocationIndex {
    let files = configuration.environment.files
    let path = configuration.indexDirectory + "/index"
    if !files.hasIndex(path), hasLogs || marks.contains(where: { $0.sequence > 0 }) {
      throw .index("The index in \(path) is missing; \(BookieError.rebuildHint(configuration))")
    }
    do throws(BookieError) {
      let index = try LocationIndex(path: path, files: files)
      do throws(BookieError) {
        let known = try index.marks() ?? marks.map { _ in JournalMark() }
        guard known.count == marks.count, !zip(known, marks).contains(where: { $0.sequence < $1.sequence }) else {
          throw .index("The index in \(path) is older than the marks beside it: a part of it is lost.")
        }
        return index
      } catch {
        index.close()
        throw error
      }
    } catch {
      throw explained(error, configuration)
    }
  }

  /// The error with what to do about it, if it says that the index is damaged.
  static func explained(_ error: BookieError, _ configuration: BookieConfiguration) -> BookieError {
    guard case .index(let text) = error, !error.isOutOfSpace, !text.contains("rebuild-index") else { return error }
    if text.contains("/LOCK") {
      return .index("\(text) Another process uses it: stop that one first.")
    }
    return .index("\(text) If the disk is well, \(BookieError.rebuildHint(configuration))")
  }
}

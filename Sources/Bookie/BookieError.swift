#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// Why a bookie could not start, or had to give up.
public enum BookieError: Error, Equatable, Sendable, CustomStringConvertible {
  /// A system call failed.
  case io(action: String, path: String, errno: Int32)
  /// A file does not hold what was written to it.
  case damaged(path: String, String)
  /// The directories and the metadata do not belong together; nothing was touched.
  case identity(String)
  /// The configuration makes no sense.
  case configuration(String)
  /// The location index could not be read or written.
  case index(String)
  /// The location index refused a change for want of space, before anything of it was written.
  case indexIsFull(String)
  /// The bookie is shut down.
  case closed

  /// Whether the cause is that a disk is full: what was asked for was not done, and may be done later.
  var isOutOfSpace: Bool {
    switch self {
    case .io(_, _, let errno): errno == ENOSPC || errno == EDQUOT
    // The library gives no number.
    case .index(let text): text.contains("No space left on device") || text.contains("NoSpace")
    case .indexIsFull: true
    default: false
    }
  }

  /// Whether the process lacks something, which says nothing about the file.
  var isOfProcess: Bool {
    guard case .io(_, _, let errno) = self else { return false }
    return [EMFILE, ENFILE, ENOMEM, EINTR, EAGAIN].contains(errno)
  }

  /// What to do when the index or the marks are lost.
  static func rebuildHint(_ configuration: BookieConfiguration) -> String {
    let parent = configuration.journalDirectory.hasSuffix("/journal") ? configuration.journalDirectory.dropLast(8) : ""
    let isUsual =
      configuration.journalDirectories.count == 1 && !parent.isEmpty
      && configuration.ledgerDirectories == [parent + "/ledgers"]
    let directories =
      configuration.journalDirectories.map { "--journal-directory \($0)" }
      + configuration.ledgerDirectories.map { "--ledger-directory \($0)" }
    return "rebuild it with: meridian bookie rebuild-index "
      + (isUsual ? "--directory \(parent)" : directories.joined(separator: " "))
  }

  /// One sentence: what, where, what to do.
  public var description: String {
    switch self {
    case .io(let action, let path, let errno): "\(action) \(path) failed: \(systemErrorDescription(errno))."
    case .damaged(let path, let what): "\(path) is damaged: \(what)."
    case .identity(let what): what
    case .configuration(let what): what
    case .index(let what), .indexIsFull(let what): what
    case .closed: "The bookie is shut down."
    }
  }
}

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
  /// The bookie is shut down.
  case closed

  /// One sentence: what, where, what to do.
  public var description: String {
    switch self {
    case .io(let action, let path, let errno): "\(action) \(path) failed: \(systemErrorDescription(errno))."
    case .damaged(let path, let what): "\(path) is damaged: \(what)."
    case .identity(let what): what
    case .configuration(let what): what
    case .index(let what): what
    case .closed: "The bookie is shut down."
    }
  }
}

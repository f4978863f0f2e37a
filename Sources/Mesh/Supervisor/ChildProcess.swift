#if canImport(Glibc)
  import Glibc
#else
  import Darwin
#endif

/// Starts and ends child processes.
enum ChildProcess {
  /// Starts a program in a session of its own, so that a Ctrl-C at the terminal does not reach it.
  ///
  /// - Parameters:
  ///   - program: path of the executable.
  ///   - arguments: its arguments, without the program's name.
  ///   - log: file to which standard output and standard error are appended.
  /// - Returns: the process id.
  static func start(_ program: String, _ arguments: [String], log: String) throws -> Int32 {
    var attributes = posix_spawnattr_t()
    posix_spawnattr_init(&attributes)
    defer { posix_spawnattr_destroy(&attributes) }
    var noSignals = sigset_t()
    sigemptyset(&noSignals)
    posix_spawnattr_setsigmask(&attributes, &noSignals)
    var defaultSignals = sigset_t()
    sigemptyset(&defaultSignals)
    for signal in [SIGINT, SIGTERM, SIGHUP, SIGPIPE] { sigaddset(&defaultSignals, signal) }
    posix_spawnattr_setsigdefault(&attributes, &defaultSignals)
    let flags = POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF
    #if canImport(Glibc)
      posix_spawnattr_setflags(&attributes, Int16(flags | 0x80))  // POSIX_SPAWN_SETSID
    #else
      posix_spawnattr_setflags(&attributes, Int16(flags) | Int16(POSIX_SPAWN_SETSID))
    #endif

    var actions = posix_spawn_file_actions_t()
    posix_spawn_file_actions_init(&actions)
    defer { posix_spawn_file_actions_destroy(&actions) }
    posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
    posix_spawn_file_actions_addopen(&actions, 1, log, O_WRONLY | O_CREAT | O_APPEND, 0o644)
    posix_spawn_file_actions_adddup2(&actions, 1, 2)

    var argv: [UnsafeMutablePointer<CChar>?] = ([program] + arguments).map { strdup($0) }
    argv.append(nil)
    defer { argv.forEach { free($0) } }
    var pid: pid_t = 0
    let code = posix_spawn(&pid, program, &actions, &attributes, argv, environ)
    guard code == 0 else {
      throw MeshError("cannot start \(program): \(String(cString: strerror(code)))")
    }
    return pid
  }

  /// Whether a process of that id exists and is no zombie of ours.
  static func isRunning(_ pid: Int32) -> Bool {
    guard pid > 0 else { return false }
    var status: Int32 = 0
    if waitpid(pid, &status, WNOHANG) == pid { return false }
    return kill(pid, 0) == 0 || errno == EPERM
  }

  /// The path of the program that is running.
  static func ownExecutable() throws -> String {
    var buffer = [CChar](repeating: 0, count: 4096)
    let count = readlink("/proc/self/exe", &buffer, buffer.count - 1)
    guard count > 0 else { throw MeshError("cannot find the path of the running program in /proc/self/exe") }
    return String(decoding: buffer.prefix(count).map { UInt8(bitPattern: $0) }, as: UTF8.self)
  }
}

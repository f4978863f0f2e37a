import NIOCore
import NIOPosix
import Synchronization

#if canImport(Glibc)
  import Glibc
#endif

/// A TCP port of 127.0.0.1 that nothing listens on. Prefer to bind port 0 where the code under test can report it.
///
/// The system hands ports of its ephemeral range (32768 and up on Linux) to every outgoing connection, so that a port
/// of that range may be gone before the caller binds it, and again while a region under test is stopped. These ports
/// are from below it, and a process gets each at most once; processes that run at once start at different places.
public func freePort() async throws -> Int {
  for _ in 0..<portRange.count {
    let number = nextPort.wrappingAdd(1, ordering: .relaxed).oldValue
    let port = portRange.lowerBound + number % portRange.count
    guard
      let channel = try? await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
        .bind(host: "127.0.0.1", port: port).get()
    else { continue }
    try await channel.close().get()
    return port
  }
  throw TestSupportError("No port of \(portRange) is free.")
}

private let portRange = 10_000..<16_000
private let nextPort = Atomic<Int>(Int(getpid()) &* 97 % 6_000)

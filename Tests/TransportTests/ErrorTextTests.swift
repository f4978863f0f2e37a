import NIOCore
import NIOPosix
import Testing
import Transport

@Suite struct ErrorTextTests {
  @Test func aPortInUseIsSaidWithoutTheNamesOfCalls() async throws {
    let group = MultiThreadedEventLoopGroup.singleton
    let first = try await ServerBootstrap(group: group).bind(host: "127.0.0.1", port: 0).get()
    let port = try #require(first.localAddress?.port)
    let error = await #expect(throws: (any Error).self) {
      _ = try await ServerBootstrap(group: group).bind(host: "127.0.0.1", port: port).get()
    }
    #expect(error.map { ErrorText.describe($0) } == "the port is in use by another program")
    try await first.close()
    let refused = await #expect(throws: (any Error).self) {
      _ = try await ClientBootstrap(group: group).connect(host: "127.0.0.1", port: port).get()
    }
    #expect(refused.map { ErrorText.describe($0) } == "connection refused")
  }
}

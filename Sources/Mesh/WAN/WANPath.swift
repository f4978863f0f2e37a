import NIOCore

/// The directed path from one region to another, shared by all connections that the proxy carries along it.
///
/// Confined to `eventLoop`. Changing the shape holds for bytes that are sent from then on; cutting holds back also what
/// is under way, as a dead router would.
final class WANPath: @unchecked Sendable {
  let from: String
  let to: String
  let eventLoop: any EventLoop
  private(set) var pipe: WANPipe
  private var flows: [ObjectIdentifier: WANFlow] = [:]
  private var random: SystemRandomNumberGenerator = .init()

  init(from: String, to: String, shape: WANShape, eventLoop: any EventLoop) {
    self.from = from
    self.to = to
    self.eventLoop = eventLoop
    self.pipe = WANPipe(shape: shape)
  }

  var shape: WANShape { pipe.shape }

  func update(_ change: (inout WANShape) -> Void) {
    eventLoop.assertInEventLoop()
    let wasCut = pipe.shape.isCut
    change(&pipe.shape)
    if wasCut != pipe.shape.isCut {
      for flow in flows.values { flow.pathChanged() }
    }
  }

  func send(bytes: Int) -> (left: NIODeadline, arrives: NIODeadline) {
    pipe.send(bytes: bytes, now: .now(), jitterFraction: Double.random(in: 0...1, using: &random))
  }

  func add(_ flow: WANFlow) { flows[ObjectIdentifier(flow)] = flow }
  func remove(_ flow: WANFlow) { flows[ObjectIdentifier(flow)] = nil }
}

import Mesh
import NIOCore
import Testing

@Suite struct WANPipeTests {
  private let start = NIODeadline.uptimeNanoseconds(1_000_000_000)

  @Test func delayDoesNotLimitThroughput() {
    var pipe = WANPipe(shape: WANShape(delay: .milliseconds(50)))
    for step in 0..<1000 {
      let now = start + .microseconds(Int64(step))
      let time = pipe.send(bytes: 1 << 20, now: now, jitterFraction: 0)
      #expect(time.left == now)
      #expect(time.arrives == now + .milliseconds(50))
    }
  }

  @Test func bandwidthSerialisesChunks() {
    var pipe = WANPipe(shape: WANShape(delay: .milliseconds(10), bandwidth: 1_000_000))
    let first = pipe.send(bytes: 1000, now: start, jitterFraction: 0)
    let second = pipe.send(bytes: 1000, now: start, jitterFraction: 0)
    #expect(first.left == start + .milliseconds(1))
    #expect(second.left == start + .milliseconds(2))
    #expect(second.arrives == start + .milliseconds(12))
  }

  @Test func idlePathKeepsNoCredit() {
    var pipe = WANPipe(shape: WANShape(bandwidth: 1_000_000))
    _ = pipe.send(bytes: 1000, now: start, jitterFraction: 0)
    let later = start + .seconds(5)
    #expect(pipe.send(bytes: 1000, now: later, jitterFraction: 0).left == later + .milliseconds(1))
  }

  @Test(arguments: [(-1.0, 0), (0.0, 0), (0.5, 5), (1.0, 10), (7.0, 10)])
  func jitterIsAPartOfItsBound(fraction: Double, milliseconds: Int64) {
    var pipe = WANPipe(shape: WANShape(delay: .milliseconds(100), jitter: .milliseconds(10)))
    let time = pipe.send(bytes: 1, now: start, jitterFraction: fraction)
    #expect(time.arrives == start + .milliseconds(100 + milliseconds))
  }
}

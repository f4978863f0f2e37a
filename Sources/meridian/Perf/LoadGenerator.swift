import Foundation
import NIOCore
import PulsarClient

/// One producer under load: as fast as it can, or at a steady rate.
struct LoadGenerator {
  let producer: Producer
  let size: Int
  /// Messages a second; `nil` is as fast as it goes.
  let rate: Double?
  /// Put the time of publishing into the payload's first 8 bytes.
  let stampsTime: Bool
  /// Receipts; with a rate the latency counts from the moment the message was due.
  let recorder: LatencyRecorder

  /// Publishes until the task is cancelled or the producer is closed.
  func run() async {
    let template = PayloadSource.payload(bytes: stampsTime ? max(8, size) : size)
    let clock = ContinuousClock()
    var pacer = rate.map { Pacer(rate: $0) }
    var sinceYield = 0
    while !Task.isCancelled {
      var from: ContinuousClock.Instant?
      if let due = pacer?.next() {
        let pause = due - clock.now
        if pause > .microseconds(200) {
          do { try await Task.sleep(for: pause) } catch { return }
        }
        from = due
      }
      var payload = template
      if stampsTime { payload.setInteger(Clock.nowMicroseconds(), at: payload.readerIndex) }
      let message = Message(payload)
      let start = from ?? clock.now
      let bytes = payload.readableBytes
      let recorder = self.recorder
      while !producer.enqueue(
        message,
        completion: { result in
          switch result {
          case .success: recorder.record(ContinuousClock.now - start, bytes: bytes)
          case .failure(.closed): break
          case .failure(let error): recorder.fail(error)
          }
        })
      {
        if Task.isCancelled { return }
        await producer.waitForRoom(for: message)
      }
      sinceYield += 1
      if sinceYield & 1023 == 0 { await Task.yield() }
    }
  }
}

extension Clock {
  /// Microseconds since 1970.
  static func nowMicroseconds() -> Int64 {
    var time = timespec()
    clock_gettime(CLOCK_REALTIME, &time)
    return Int64(time.tv_sec) * 1_000_000 + Int64(time.tv_nsec) / 1000
  }
}

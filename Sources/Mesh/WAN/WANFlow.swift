import DequeModule
import NIOCore

/// One direction of one proxied connection: takes bytes from `source`, and gives them to `sink` when the path says so.
///
/// Confined to the path's loop. A source is read on only while few of its bytes wait for the path's bandwidth, so a
/// narrow path pushes back on the sender as a full router queue does; bytes that are under way do not count. A limit on
/// everything held bounds the memory of a path that stays cut.
final class WANFlow: @unchecked Sendable {
  private struct Chunk {
    var bytes: ByteBuffer?  // nil marks the end of the stream
    var left: NIODeadline
    var arrives: NIODeadline
  }

  /// Bytes that may wait for the path's bandwidth before the source is paused.
  static let queueLimit = 1 << 20
  /// Bytes that may be held in all, waiting and under way.
  static let holdLimit = 256 << 20

  private let path: WANPath
  private weak var source: (any Channel)?
  private weak var sink: (any Channel)?
  private var chunks: Deque<Chunk> = []
  private var held = 0
  private var lastArrival = NIODeadline.uptimeNanoseconds(0)
  private var timer: Scheduled<Void>?
  private var resume: Scheduled<Void>?
  private var isPaused = false
  private var isClosed = false

  init(path: WANPath, source: any Channel, sink: any Channel) {
    self.path = path
    self.source = source
    self.sink = sink
    path.add(self)
  }

  func received(_ bytes: ByteBuffer) {
    guard !isClosed else { return }
    enqueue(bytes, size: bytes.readableBytes)
  }

  func receivedEnd() {
    guard !isClosed else { return }
    enqueue(nil, size: 0)
  }

  func pathChanged() {
    deliverDue()
  }

  /// The sink can take more, or cannot.
  func sinkWritabilityChanged() {
    deliverDue()
  }

  func close() {
    guard !isClosed else { return }
    isClosed = true
    timer?.cancel()
    resume?.cancel()
    chunks.removeAll()
    path.remove(self)
  }

  private func enqueue(_ bytes: ByteBuffer?, size: Int) {
    let time = path.send(bytes: size)
    lastArrival = max(lastArrival, time.arrives)
    chunks.append(Chunk(bytes: bytes, left: time.left, arrives: lastArrival))
    held += size
    deliverDue()
    pauseIfFull(lastLeft: time.left)
  }

  private func deliverDue() {
    timer?.cancel()
    timer = nil
    guard !isClosed, !path.shape.isCut, let sink else { return }
    let now = NIODeadline.now()
    var wrote = false
    while let first = chunks.first, first.arrives <= now, sink.isWritable {
      chunks.removeFirst()
      if let bytes = first.bytes {
        held -= bytes.readableBytes
        sink.write(bytes, promise: nil)
        wrote = true
      } else {
        sink.flush()
        sink.close(mode: .output, promise: nil)
      }
    }
    if wrote { sink.flush() }
    if let next = chunks.first, next.arrives > now {
      timer = path.eventLoop.scheduleTask(deadline: next.arrives) { [weak self] in self?.deliverDue() }
    }
    resumeIfRoom()
  }

  private func pauseIfFull(lastLeft: NIODeadline) {
    let waiting = bytesWaiting(at: .now())
    guard !isPaused, waiting > Self.queueLimit || held > Self.holdLimit else { return }
    isPaused = true
    setAutoRead(false)
    scheduleResume()
  }

  private func resumeIfRoom() {
    guard isPaused else { return }
    if bytesWaiting(at: .now()) <= Self.queueLimit / 2, held <= Self.holdLimit / 2 {
      isPaused = false
      resume?.cancel()
      resume = nil
      setAutoRead(true)
    } else if resume == nil {
      scheduleResume()
    }
  }

  private func scheduleResume() {
    resume?.cancel()
    resume = path.eventLoop.scheduleTask(in: .milliseconds(2)) { [weak self] in
      self?.resume = nil
      self?.resumeIfRoom()
    }
  }

  private func bytesWaiting(at now: NIODeadline) -> Int {
    var waiting = 0
    for chunk in chunks.reversed() {
      if chunk.left <= now { break }
      waiting += chunk.bytes?.readableBytes ?? 0
    }
    return waiting
  }

  private func setAutoRead(_ on: Bool) {
    guard let source else { return }
    source.setOption(.autoRead, value: on).whenSuccess { [weak source] in
      if on { source?.read() }
    }
  }
}

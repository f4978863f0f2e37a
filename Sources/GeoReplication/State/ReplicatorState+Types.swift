import NIOCore
import TopicLog

extension ReplicatorState {
  /// Timings of the machine.
  public struct Configuration: Sendable {
    /// First pause after a failure.
    public var backoffInitial: TimeAmount
    /// Longest pause.
    public var backoffMaximum: TimeAmount
    /// A stream with entries under way but no acknowledgement for so long is opened anew.
    public var stallTimeout: TimeAmount
    /// Bounds of the bytes under way.
    public var window: LinkWindow.Bounds

    /// Timings with their defaults.
    public init(
      backoffInitial: TimeAmount = .milliseconds(100), backoffMaximum: TimeAmount = .seconds(10),
      stallTimeout: TimeAmount = .seconds(30),
      window: LinkWindow.Bounds = .init(minimum: 4 << 20, maximum: 128 << 20)
    ) {
      self.backoffInitial = backoffInitial
      self.backoffMaximum = backoffMaximum
      self.stallTimeout = stallTimeout
      self.window = window
    }
  }

  /// What the machine needs to know of an entry that was read.
  public struct EntryFacts: Sendable, Equatable {
    /// Where it is in the local log.
    public var position: Position
    /// Bytes that it takes on the wire.
    public var bytes: Int
    /// Messages in it.
    public var messages: Int
    /// When the local broker stored it, in milliseconds since 1970.
    public var storedAtMs: Int64
    /// Messages that entered the topic in this region up to and including this entry.
    public var localMessages: UInt64
    /// Bytes that entered the topic in this region up to and including this entry.
    public var localBytes: UInt64

    /// The facts of one entry.
    public init(
      position: Position, bytes: Int, messages: Int, storedAtMs: Int64, localMessages: UInt64, localBytes: UInt64
    ) {
      self.position = position
      self.bytes = bytes
      self.messages = messages
      self.storedAtMs = storedAtMs
      self.localMessages = localMessages
      self.localBytes = localBytes
    }
  }

  /// What the carrier of the machine has to do.
  public enum Action: Sendable, Equatable {
    /// Open a stream to the remote; its result comes back with this epoch. A newer epoch replaces an older one there.
    case openStream(epoch: UInt64)
    /// End the stream of that epoch.
    case closeStream(epoch: UInt64)
    /// Move the cursor: everything up to there is stored remotely or need not be.
    case markDelete(Position)
    /// Call ``retry(now:)`` after so long (the carrier adds jitter).
    case retry(after: TimeAmount)
    /// Ask for more to read: see ``nextRead(available:)``.
    case read
    /// Data that the remote had and has no more is not in the local log any longer: the entries behind `from` up to
    /// `through`, at most. It has to be put on record on both sides.
    case gap(from: Position, through: Position)
  }

  /// The counters of the log at some entry, and when it was stored.
  struct Counters: Sendable, Equatable {
    var position: Position
    var messages: UInt64
    var bytes: UInt64
    var storedAtMs: Int64

    init(_ facts: EntryFacts) {
      position = facts.position
      messages = facts.localMessages
      bytes = facts.localBytes
      storedAtMs = facts.storedAtMs
    }

    init(position: Position, messages: UInt64, bytes: UInt64, storedAtMs: Int64) {
      self.position = position
      self.messages = messages
      self.bytes = bytes
      self.storedAtMs = storedAtMs
    }
  }
}

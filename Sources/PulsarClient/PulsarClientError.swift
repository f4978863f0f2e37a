import PulsarWire

/// Why the client could not do what it was asked.
public enum PulsarClientError: Error, CustomStringConvertible, Sendable, Equatable {
  /// The service URL is not `pulsar://host:port` or `pulsar+ssl://host:port`.
  case invalidServiceURL(String)
  /// An option does not make sense.
  case invalidConfiguration(String)
  /// TLS was refused, by this side or the other: a certificate, its name, or the version.
  case tls(String)
  /// No connection, or it was lost; trying again may help.
  case connection(String)
  /// The broker did not answer in time.
  case timeout(String)
  /// The broker refused.
  case broker(ProtoServerError, String)
  /// The topic has been terminated: nothing can be published to it any more.
  case terminated(String)
  /// Another producer took the topic over.
  case fenced(String)
  /// The queue of messages that wait for their receipt is full.
  case producerQueueFull
  /// The message is larger than the broker takes.
  case messageTooLarge(size: Int, limit: Int)
  /// What the broker stored cannot be read.
  case corrupt(String)
  /// The client, producer, consumer or reader was closed.
  case closed

  /// One sentence.
  public var description: String {
    switch self {
    case .invalidServiceURL(let url):
      "`\(url)` is no service URL; write pulsar://host:6650 or pulsar+ssl://host:6651"
    case .invalidConfiguration(let sentence): sentence
    case .tls(let sentence): sentence
    case .connection(let sentence): sentence
    case .timeout(let sentence): sentence
    case .broker(let code, let message): "the broker refused: \(message) (\(code))"
    case .terminated(let topic): "\(topic) is terminated; nothing can be published to it"
    case .fenced(let topic): "another producer has taken \(topic) over"
    case .producerQueueFull: "too many messages wait for their receipt; wait, or raise maxPendingMessages"
    case .messageTooLarge(let size, let limit):
      "the message has \(size) bytes and the broker takes \(limit); split it"
    case .corrupt(let sentence): sentence
    case .closed: "it was closed"
    }
  }

  /// Whether trying again later can help.
  public var isRetryable: Bool {
    switch self {
    case .connection, .timeout: true
    case .broker(let code, _):
      switch code {
      case .authenticationError, .authorizationError, .topicNotFound, .topicTerminatedError, .incompatibleSchema,
        .notAllowedError, .consumerAssignError, .consumerBusy, .producerBusy, .producerFenced, .invalidTopicName,
        .producerBlockedQuotaExceededException, .subscriptionNotFound:
        false
      default: true
      }
    default: false
    }
  }
}

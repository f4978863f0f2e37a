/// Why a call of `AdminClient` failed, in one sentence.
public enum AdminClientError: Error, Hashable, Sendable, CustomStringConvertible {
  /// The URL is not one of an admin API.
  case badURL(String)
  /// The server could not be reached, or the connection broke.
  case unreachable(url: String, reason: String)
  /// The server did not answer in time.
  case timeout(url: String, after: Duration)
  /// The server refused; `reason` is its own sentence.
  case refused(status: Int, reason: String, request: String)
  /// The answer is not what was expected.
  case badAnswer(request: String, reason: String)

  /// The HTTP status, if the server answered.
  public var status: Int? {
    if case .refused(let status, _, _) = self { return status }
    return nil
  }

  /// One sentence.
  public var description: String {
    switch self {
    case .badURL(let url):
      "\"\(url)\" is not the URL of an admin API: write http://host:port or https://host:port."
    case .unreachable(let url, let reason): "Cannot reach the admin API at \(url): \(reason)."
    case .timeout(let url, let duration): "The admin API at \(url) did not answer within \(duration)."
    case .refused(let status, let reason, let request):
      reason.isEmpty ? "\(request) was answered with HTTP status \(status)." : "\(reason) (HTTP \(status))"
    case .badAnswer(let request, let reason): "The answer to \(request) could not be read: \(reason)."
    }
  }
}

import Bookie
import Broker
import Hummingbird
import HummingbirdCore
import Ledgers
import Logging
import MetadataStore
import NIOCore

/// Turns HTTP requests into calls of route handlers and their outcome into responses: limits, routing, errors.
struct AdminResponder: Sendable {
  typealias Handler = @Sendable (AdminRequest) async throws -> AdminResponse

  var routes: RouteTable<Handler>
  var maximumBodySize: Int
  var logger: Logger

  /// Answers one request; throws only if the connection fails.
  func respond(to request: Request, _ writer: consuming ResponseWriter) async throws {
    let answer = await answer(request)
    var headers = HTTPFields()
    if let contentType = answer.contentType { headers[.contentType] = contentType }
    for (name, value) in answer.headers {
      // A header that came from stored data may hold anything; what HTTP does not allow is left out.
      guard let name = HTTPFields.Element.Name(name), HTTPFields.Element.isValidValue(value) else { continue }
      headers.append(HTTPFields.Element(name: name, value: value))
    }
    if answer.status != 204 { headers[.contentLength] = String(answer.body.count) }
    let head = HTTPResponse(status: HTTPResponse.Status(code: answer.status), headerFields: headers)
    if answer.body.isEmpty {
      try await writer.writeResponse(head)
    } else {
      try await writer.write(response: head, body: ResponseBody(byteBuffer: ByteBuffer(bytes: answer.body)))
    }
  }

  private func answer(_ request: Request) async -> AdminResponse {
    guard let target = AdminRequest.Target(request.head.path ?? "/") else {
      return .failure(400, "The request's path or query is not well formed")
    }
    let method = request.method.rawValue
    switch routes.match(method, target.components) {
    case .notFound:
      return .failure(404, "There is nothing at /\(target.components.joined(separator: "/"))")
    case .methodNotAllowed(let methods):
      var answer = AdminResponse.failure(405, "\(method) is not possible here, only \(methods.joined(separator: ", "))")
      answer.headers.append(("Allow", methods.joined(separator: ", ")))
      return answer
    case .found(let handler, let parameters):
      if let length = request.headers[.contentLength].flatMap({ Int($0) }), length > maximumBodySize {
        return tooLarge
      }
      let body: ByteBuffer
      do {
        body = try await request.body.collect(upTo: maximumBodySize)
      } catch is NIOTooManyBytesError {
        return tooLarge
      } catch {
        return .failure(400, "The request's body could not be read: \(error)")
      }
      let request = AdminRequest(
        method: method, parameters: parameters, query: target.query, body: Array(body.readableBytesView))
      do {
        return try await handler(request)
      } catch {
        return failure(error, "\(method) /\(target.components.joined(separator: "/"))")
      }
    }
  }

  private var tooLarge: AdminResponse {
    .failure(413, "The request's body is larger than \(maximumBodySize) bytes")
  }

  private func failure(_ error: any Error, _ what: String) -> AdminResponse {
    switch error {
    case let error as PolicyError:
      if error.status >= 500 { logger.warning("\(what) failed: \(error.reason)") }
      return .failure(error.status, error.reason)
    case let error as BrokerError:
      if error.status >= 500 { logger.warning("\(what) failed: \(error.message)") }
      return .failure(error.status, error.message)
    case let error as AdminFailure:
      return .failure(error.status, error.reason)
    case let error as LedgerError:
      if error.httpStatus >= 500 { logger.warning("\(what) failed: \(error)") }
      return .failure(error.httpStatus, "\(error)")
    case BookieError.closed:
      return .failure(503, "\(BookieError.closed)")
    case is CancellationError:
      return .failure(503, "The server is shutting down; try again")
    default:
      logger.warning("\(what) failed: \(error)")
      return .failure(500, "\(error)")
    }
  }
}

/// A refusal by the admin API itself, with any HTTP status.
struct AdminFailure: Error, CustomStringConvertible {
  var status: Int
  var reason: String

  init(_ status: Int, _ reason: String) {
    self.status = status
    self.reason = reason
  }

  var description: String { reason }
}

extension LedgerError {
  /// The status that tells a client whether it asked for something wrong, for something that is not there, or too early.
  fileprivate var httpStatus: Int {
    switch self {
    case .invalidRequest: 400
    case .unauthorized: 403
    case .noSuchLedger, .noSuchEntry: 404
    case .fenced, .closed: 409
    case .metadata: 500
    case .notEnoughBookies, .dataUnavailable, .timeout, .shutDown: 503
    }
  }
}

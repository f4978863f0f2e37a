import GRPCCore
import SwiftProtobuf

/// The methods of etcd that are used, with the types of their messages.
struct EtcdMethod<Request: Message & Sendable, Response: Message & Sendable>: Sendable {
  let descriptor: MethodDescriptor

  private init(_ service: String, _ method: String) {
    descriptor = MethodDescriptor(fullyQualifiedService: "etcdserverpb.\(service)", method: method)
  }
}

extension EtcdMethod where Request == EtcdRangeRequest, Response == EtcdRangeResponse {
  static var range: Self { Self("KV", "Range") }
}

extension EtcdMethod where Request == EtcdPutRequest, Response == EtcdPutResponse {
  static var put: Self { Self("KV", "Put") }
}

extension EtcdMethod where Request == EtcdTxnRequest, Response == EtcdTxnResponse {
  static var txn: Self { Self("KV", "Txn") }
}

extension EtcdMethod where Request == EtcdCompactionRequest, Response == EtcdCompactionResponse {
  static var compact: Self { Self("KV", "Compact") }
}

extension EtcdMethod where Request == EtcdWatchRequest, Response == EtcdWatchResponse {
  static var watch: Self { Self("Watch", "Watch") }
}

extension EtcdMethod where Request == EtcdLeaseGrantRequest, Response == EtcdLeaseGrantResponse {
  static var leaseGrant: Self { Self("Lease", "LeaseGrant") }
}

extension EtcdMethod where Request == EtcdLeaseRevokeRequest, Response == EtcdLeaseRevokeResponse {
  static var leaseRevoke: Self { Self("Lease", "LeaseRevoke") }
}

extension EtcdMethod where Request == EtcdLeaseKeepAliveRequest, Response == EtcdLeaseKeepAliveResponse {
  static var leaseKeepAlive: Self { Self("Lease", "LeaseKeepAlive") }
}

extension EtcdMethod where Request == EtcdLeaseTimeToLiveRequest, Response == EtcdLeaseTimeToLiveResponse {
  static var leaseTimeToLive: Self { Self("Lease", "LeaseTimeToLive") }
}

/// Protobuf messages as gRPC's bytes.
struct ProtobufSerializer<Message: SwiftProtobuf.Message>: MessageSerializer {
  func serialize<Bytes: GRPCContiguousBytes>(_ message: Message) throws -> Bytes {
    let bytes: [UInt8] = try message.serializedBytes()
    return Bytes(bytes)
  }
}

/// gRPC's bytes as Protobuf messages.
struct ProtobufDeserializer<Message: SwiftProtobuf.Message>: MessageDeserializer {
  func deserialize<Bytes: GRPCContiguousBytes>(_ bytes: Bytes) throws -> Message {
    try bytes.withUnsafeBytes { try Message(serializedBytes: Array($0)) }
  }
}

import Testing

@testable import Admin

@Suite("Routes")
struct RouteTableTests {
  private func table() -> RouteTable<String> {
    var table = RouteTable<String>()
    table.add("GET", "/p/:tenant/:ns", "list")
    table.add("GET", "/p/:tenant/:ns/partitioned", "partitioned")
    table.add("PUT", "/p/:tenant/:ns/:topic", "create")
    table.add("GET", "/p/:t/:n/:topic/stats", "stats")
    return table
  }

  private func find(_ method: String, _ path: String) -> String {
    switch table().match(method, path.split(separator: "/").map(String.init)) {
    case .found(let name, let parameters):
      return name + parameters.sorted { $0.key < $1.key }.map { " \($0.key)=\($0.value)" }.joined()
    case .methodNotAllowed(let methods): return "405 \(methods.joined(separator: " "))"
    case .notFound: return "404"
    }
  }

  @Test("Parameters, literals first, methods decide")
  func matching() {
    #expect(find("GET", "/p/a/b") == "list ns=b tenant=a")
    #expect(find("GET", "/p/a/b/partitioned") == "partitioned ns=b tenant=a")
    #expect(find("PUT", "/p/a/b/partitioned") == "create ns=b tenant=a topic=partitioned")
    #expect(find("GET", "/p/a/b/x/stats") == "stats n=b t=a topic=x")
    #expect(find("GET", "/p/a/b/partitioned/stats") == "stats n=b t=a topic=partitioned")
    #expect(find("POST", "/p/a/b/x/stats") == "405 GET")
    #expect(find("GET", "/p/a") == "404")
    #expect(find("GET", "/q") == "404")
  }

  @Test("Targets are taken apart and decoded")
  func targets() throws {
    let target = try #require(AdminRequest.Target("/a%2Fb/c//d?x=1+2&flag&y=%41"))
    #expect(target.components == ["a/b", "c", "d"])
    #expect(target.query == ["x": "1 2", "flag": "", "y": "A"])
    #expect(AdminRequest.Target("/a%2") == nil)
    #expect(AdminRequest.Target("/%ff") == nil)
    #expect(AdminRequest.Target("/a?x=%zz") == nil)
    #expect(PercentCoding.decode(PercentCoding.encode("a b/ü+%")) == "a b/ü+%")
  }

  @Test("CRC-32 of bundles")
  func bundleHash() {
    #expect(LookupRoutes.hash("123456789") == 0xcbf4_3926)
  }
}

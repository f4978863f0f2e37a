import Foundation
import MetadataStore
import TestSupport
import Testing

@testable import Bookie

@Suite("Bookie: identity and registration")
struct BookieIdentityTests {
  @Test(
    "Scenario: a bookie is wiped and returns under the same id; a foreign or half-mounted directory is refused as well")
  func cookies() async throws {
    try await BookieHarness.with { harness in
      let bookie = try await harness.start()
      let client = try await LocalClient.connect(bookie)
      try await client.add(1, 0...0)
      try await bookie.shutdown()
      let journal = harness.configuration.journalDirectory
      let files = FileManager.default

      try files.moveItem(atPath: journal, toPath: journal + ".away")
      await Self.refused(harness, "must not replace lost data")
      try files.removeItem(atPath: journal)
      let ledgers = harness.configuration.ledgerDirectories[0]
      try files.moveItem(atPath: ledgers, toPath: ledgers + ".away")
      await Self.refused(harness, "its directories are empty")
      try? files.removeItem(atPath: journal)
      try? files.removeItem(atPath: ledgers)
      try files.moveItem(atPath: journal + ".away", toPath: journal)
      try files.moveItem(atPath: ledgers + ".away", toPath: ledgers)

      await Self.refused(harness, "point each bookie at its own directories") { $0.bookieID = "b2" }
      try await harness.metadata.delete("/bookies/cookies/b1")
      await Self.refused(harness, "does not know bookie b1")
    }
  }

  @Test("A first start that ended half-way is simply begun again")
  func halfStarted() async throws {
    try await BookieHarness.with { harness in
      let journal = harness.configuration.journalDirectory
      try FileManager.default.createDirectory(atPath: journal, withIntermediateDirectories: true)
      let cookie = Cookie(bookieID: "b1", instance: "77", role: "journal")
      try Data(cookie.encoded).write(to: URL(fileURLWithPath: journal + "/" + Cookie.fileName))
      let bookie = try await harness.start()
      try await bookie.shutdown()
      let again = try await harness.start()
      try await again.shutdown()
    }
  }

  static func refused(
    _ harness: BookieHarness, _ words: String, _ adjust: (inout BookieConfiguration) -> Void = { _ in }
  ) async {
    do {
      let bookie = try await harness.start(adjust)
      Issue.record("It started.")
      try? await bookie.shutdown()
    } catch {
      #expect("\(error)".contains(words), "\(error)")
    }
  }

  @Test("It registers with host and port as long as it lives")
  func registration() async throws {
    try await BookieHarness.with { harness in
      let bookie = try await harness.start()
      let record = try #require(try await harness.metadata.get("/bookies/available/b1"))
      let text = String(decoding: record.value, as: UTF8.self)
      #expect(text.hasPrefix("{\"host\":\"127.0.0.1\",\"port\":\(bookie.port)"))
      #expect(text.contains("\"freeDiskBytes\":") && text.hasSuffix("}"))
      try await bookie.shutdown()
      #expect(try await harness.metadata.get("/bookies/available/b1") == nil)
    }
  }
}

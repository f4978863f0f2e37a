import ArgumentParser
import Broker
import Foundation
import Transport

/// `meridian certs`: the certificates that `mesh up` makes, by hand.
struct CertsCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "certs", abstract: "Make the certificates of a mesh.",
    discussion: """
      Example, an authority and a certificate for two regions:

        meridian certs create-ca --dir certs
        meridian certs issue us --dir certs --dns us.example.com
        meridian certs issue eu --dir certs --dns eu.example.com
      """,
    subcommands: [CreateCA.self, Issue.self])

  struct CreateCA: ParsableCommand {
    static let configuration = CommandConfiguration(
      commandName: "create-ca", abstract: "Make the authority: ca.crt, and ca.key which must stay secret.",
      discussion: "Example: meridian certs create-ca --dir certs")
    @Option(help: "Directory of the authority.") var dir = "certs"
    @Option(help: "Name of the authority.") var commonName = "Meridian mesh CA"
    @Option(help: "Days that it is valid.") var days = 3650

    func validate() throws {
      guard days >= 1 else { throw ValidationError("--days must be 1 or more") }
    }

    func run() throws {
      guard !FileManager.default.fileExists(atPath: "\(dir)/\(CertificateAuthority.certificateFileName)") else {
        throw CommandFailure("\(dir) has an authority already; delete it first if every certificate shall be replaced")
      }
      try FileManager.default.createDirectory(atPath: dir, withIntermediateDirectories: true)
      _ = try CertificateAuthority.loadOrCreate(directory: dir, commonName: commonName, days: days)
      print("\(dir)/\(CertificateAuthority.certificateFileName)")
      print("\(dir)/\(CertificateAuthority.privateKeyFileName)")
    }
  }

  struct Issue: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Issue a certificate that serves a region as server and as client.",
      discussion: "Example: meridian certs issue us --dir certs --dns us.example.com --ip 10.0.0.1")
    @Argument(help: "Name of the region; the files are NAME.crt and NAME.key.") var name: String
    @Option(help: "Directory of the authority.") var dir = "certs"
    @Option(help: "Names that clients use to reach it; repeat it for each.") var dns: [String] = ["localhost"]
    @Option(help: "Addresses that clients use to reach it; repeat it for each.") var ip: [String] = ["127.0.0.1"]
    @Option(help: "Days that it is valid.") var days = 825

    func validate() throws {
      guard days >= 1 else { throw ValidationError("--days must be 1 or more") }
      // The name becomes that of two files beside the authority's, which are `ca`.
      guard NamespaceName.isValidPart(name), name != "ca" else {
        throw ValidationError("`\(name)` is no name for a region; use letters, digits and -=:._, and not `ca`")
      }
    }

    func run() throws {
      let authority = try CertificateAuthority(directory: dir)
      let files = try authority.issueFiles(
        name: name, directory: dir, commonName: name, dnsNames: dns, ipAddresses: ip, days: days)
      print(files.certificateFile)
      print(files.privateKeyFile)
    }
  }
}

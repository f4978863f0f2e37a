import COpenSSL

/// Owns one `X509`.
final class LibraryCertificate {
  let handle: OpaquePointer

  init(_ handle: OpaquePointer) {
    self.handle = handle
  }

  convenience init(pem: String) throws(TLSError) {
    let handle = LibraryText.reading(pem) { PEM_read_bio_X509($0, nil, nil, nil) }
    guard let handle else { throw .configuration("a certificate is not readable PEM (\(LibraryErrors.take())).") }
    self.init(handle)
  }

  deinit { X509_free(handle) }

  func pem() throws(TLSError) -> String {
    try LibraryText.writing { PEM_write_bio_X509($0, handle) }
  }
}

/// Owns one `EVP_PKEY`.
final class LibraryKey {
  let handle: OpaquePointer

  init(_ handle: OpaquePointer) {
    self.handle = handle
  }

  convenience init(pem: String) throws(TLSError) {
    let handle = LibraryText.reading(pem) { PEM_read_bio_PrivateKey($0, nil, nil, nil) }
    guard let handle else { throw .configuration("a private key is not readable PEM (\(LibraryErrors.take())).") }
    self.init(handle)
  }

  deinit { EVP_PKEY_free(handle) }

  static func make() throws(TLSError) -> LibraryKey {
    guard let key = meridian_p256_key_new() else {
      throw .configuration("the library made no key (\(LibraryErrors.take())).")
    }
    return LibraryKey(key)
  }

  func pem() throws(TLSError) -> String {
    try LibraryText.writing { PEM_write_bio_PrivateKey($0, handle, nil, nil, 0, nil, nil) }
  }
}

/// Text in and out of the library's own streams.
enum LibraryText {
  static func reading<R>(_ text: String, _ body: (OpaquePointer) -> R?) -> R? {
    ERR_clear_error()
    guard let stream = BIO_new(BIO_s_mem()) else { return nil }
    defer { BIO_free(stream) }
    let bytes = Array(text.utf8)
    guard BIO_write(stream, bytes, Int32(clamping: bytes.count)) == bytes.count else { return nil }
    return body(stream)
  }

  static func writing(_ body: (OpaquePointer) -> Int32) throws(TLSError) -> String {
    ERR_clear_error()
    guard let stream = BIO_new(BIO_s_mem()) else { throw .configuration("the library has no memory.") }
    defer { BIO_free(stream) }
    guard body(stream) == 1 else { throw .configuration("PEM was not written (\(LibraryErrors.take())).") }
    var text: [UInt8] = []
    var chunk = [UInt8](repeating: 0, count: 4096)
    while true {
      let count = BIO_read(stream, &chunk, Int32(chunk.count))
      guard count > 0 else { return String(decoding: text, as: UTF8.self) }
      text += chunk[..<Int(count)]
    }
  }
}

/// One certificate in the making.
struct CertificateBuilder {
  let certificate: LibraryCertificate

  /// - Parameter days: validity; begins an hour ago, so that a clock that is a little slow accepts it at once.
  init(subject: String, key: LibraryKey, days: Int) throws(TLSError) {
    ERR_clear_error()
    guard let handle = X509_new() else { throw .configuration("the library has no memory.") }
    certificate = LibraryCertificate(handle)
    guard !subject.isEmpty, subject.unicodeScalars.count <= 64 else {
      throw .configuration("the common name \"\(subject)\" must have 1 to 64 characters.")
    }
    guard (-36500...36500).contains(days) else { throw .configuration("\(days) days is out of range.") }
    let firstDay: Int32 = days > 0 ? 0 : Int32(days) - 1
    let name = X509_get_subject_name(handle)
    let utf8 = Array(subject.utf8)
    let isSet =
      X509_set_version(handle, 2) == 1 && setSerialNumber()
      && X509_time_adj_ex(X509_getm_notBefore(handle), firstDay, -3600, nil) != nil
      && X509_time_adj_ex(X509_getm_notAfter(handle), Int32(days), days > 0 ? 0 : -60, nil) != nil
      && X509_set_pubkey(handle, key.handle) == 1
      && X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_UTF8, utf8, Int32(utf8.count), -1, 0) == 1
    guard isSet else { throw .configuration("the certificate was not made (\(LibraryErrors.take())).") }
  }

  private func setSerialNumber() -> Bool {
    var bytes = [UInt8](repeating: 0, count: 16)
    guard RAND_bytes(&bytes, Int32(bytes.count)) == 1 else { return false }
    bytes[0] = bytes[0] & 0x7F | 0x40
    guard let number = BN_bin2bn(bytes, Int32(bytes.count), nil) else { return false }
    defer { BN_free(number) }
    return BN_to_ASN1_INTEGER(number, X509_get_serialNumber(certificate.handle)) != nil
  }

  func add(_ extensionID: Int32, _ value: String, issuer: LibraryCertificate? = nil) throws(TLSError) {
    let added = meridian_x509_add_extension(
      certificate.handle, (issuer ?? certificate).handle, extensionID, value)
    guard added == 1 else { throw .configuration("the extension \"\(value)\" was refused (\(LibraryErrors.take())).") }
  }

  func sign(issuer: LibraryCertificate, key: LibraryKey) throws(TLSError) {
    let isSigned =
      X509_set_issuer_name(certificate.handle, X509_get_subject_name(issuer.handle)) == 1
      && X509_sign(certificate.handle, key.handle, EVP_sha256()) > 0
    guard isSigned else { throw .configuration("the certificate was not signed (\(LibraryErrors.take())).") }
  }
}

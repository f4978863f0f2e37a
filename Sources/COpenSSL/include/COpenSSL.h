#ifndef MERIDIAN_COPENSSL_H
#define MERIDIAN_COPENSSL_H

#include <openssl/bio.h>
#include <openssl/bn.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>
#include <stddef.h>

// The two ends of a TLS engine as windows over memory that the caller owns for the length of one call.
// What does not fit the output window (or comes while there is none) goes, in order, to a buffer of its own.
typedef struct meridian_tls_io {
  const unsigned char *input;
  size_t input_length;
  unsigned char *output;
  size_t output_capacity;
  size_t output_length;
  unsigned char *overflow;
  size_t overflow_length;
  size_t overflow_capacity;
  // The first error of certificate verification, and the certificate at fault (owned).
  long verify_error;
  X509 *verify_certificate;
} meridian_tls_io;

meridian_tls_io *meridian_tls_io_new(void);
void meridian_tls_io_free(meridian_tls_io *io);

// A connection over `io`, which must outlive it; NULL without memory.
SSL *meridian_ssl_new(SSL_CTX *context, meridian_tls_io *io, int is_server);
void meridian_ssl_set_server_name(SSL *ssl, const char *name);
// Sets the verification mode of a connection; `io` then records the first failure.
void meridian_ssl_set_verify(SSL *ssl, int mode);

// Versions and the options that every connection has; returns 0 on failure.
int meridian_ssl_ctx_setup(SSL_CTX *context, int minimum_version, int maximum_version);
// The reason code of an error, as in SSL_R_....
int meridian_err_reason(unsigned long error);

// Calls `body` for each name of a certificate: kind 0 common name, 1 DNS name, 2 IP address (4 or 16 bytes), 3 URI.
void meridian_x509_names(
    X509 *certificate, void *context,
    void (*body)(void *context, int kind, const unsigned char *bytes, int length));

EVP_PKEY *meridian_p256_key_new(void);
int meridian_x509_add_extension(X509 *certificate, X509 *issuer, int nid, const char *value);

#endif

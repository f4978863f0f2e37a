#include "COpenSSL.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

static int io_write(BIO *bio, const char *bytes, int length) {
  meridian_tls_io *io = BIO_get_data(bio);
  BIO_clear_retry_flags(bio);
  if (length <= 0) return 0;
  size_t count = (size_t)length;
  if (io->overflow_length == 0 && io->output_capacity - io->output_length >= count) {
    memcpy(io->output + io->output_length, bytes, count);
    io->output_length += count;
    return length;
  }
  if (io->overflow_capacity - io->overflow_length < count) {
    size_t capacity = io->overflow_capacity ? io->overflow_capacity : 4096;
    while (capacity - io->overflow_length < count) capacity *= 2;
    unsigned char *grown = realloc(io->overflow, capacity);
    if (!grown) return -1;
    io->overflow = grown;
    io->overflow_capacity = capacity;
  }
  memcpy(io->overflow + io->overflow_length, bytes, count);
  io->overflow_length += count;
  return length;
}

static int io_read(BIO *bio, char *bytes, int length) {
  meridian_tls_io *io = BIO_get_data(bio);
  BIO_clear_retry_flags(bio);
  if (length <= 0) return 0;
  if (io->input_length == 0) {
    BIO_set_retry_read(bio);
    return -1;
  }
  size_t count = (size_t)length < io->input_length ? (size_t)length : io->input_length;
  memcpy(bytes, io->input, count);
  io->input += count;
  io->input_length -= count;
  return (int)count;
}

static long io_ctrl(BIO *bio, int command, long number, void *pointer) {
  (void)bio, (void)number, (void)pointer;
  return command == BIO_CTRL_FLUSH ? 1 : 0;
}

static BIO_METHOD *method;
static pthread_once_t method_once = PTHREAD_ONCE_INIT;

static void make_method(void) {
  method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "meridian window");
  if (!method) return;
  BIO_meth_set_write(method, io_write);
  BIO_meth_set_read(method, io_read);
  BIO_meth_set_ctrl(method, io_ctrl);
}

meridian_tls_io *meridian_tls_io_new(void) { return calloc(1, sizeof(meridian_tls_io)); }

void meridian_tls_io_free(meridian_tls_io *io) {
  if (!io) return;
  X509_free(io->verify_certificate);
  free(io->overflow);
  free(io);
}

SSL *meridian_ssl_new(SSL_CTX *context, meridian_tls_io *io, int is_server) {
  pthread_once(&method_once, make_method);
  if (!method) return NULL;
  SSL *ssl = SSL_new(context);
  if (!ssl) return NULL;
  BIO *bio = BIO_new(method);
  if (!bio) {
    SSL_free(ssl);
    return NULL;
  }
  BIO_set_data(bio, io);
  BIO_set_init(bio, 1);
  SSL_set_bio(ssl, bio, bio);
  SSL_set_app_data(ssl, io);
  if (is_server) {
    SSL_set_accept_state(ssl);
  } else {
    SSL_set_connect_state(ssl);
  }
  return ssl;
}

void meridian_ssl_set_server_name(SSL *ssl, const char *name) { SSL_set_tlsext_host_name(ssl, name); }

static int on_verify(int is_good, X509_STORE_CTX *store) {
  if (is_good) return 1;
  SSL *ssl = X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx());
  meridian_tls_io *io = ssl ? SSL_get_app_data(ssl) : NULL;
  if (io && io->verify_error == 0) {
    io->verify_error = X509_STORE_CTX_get_error(store);
    X509 *certificate = X509_STORE_CTX_get_current_cert(store);
    if (certificate && X509_up_ref(certificate)) io->verify_certificate = certificate;
  }
  return 0;
}

void meridian_ssl_set_verify(SSL *ssl, int mode) { SSL_set_verify(ssl, mode, on_verify); }

int meridian_ssl_ctx_setup(SSL_CTX *context, int minimum_version, int maximum_version) {
  SSL_CTX_set_options(
      context, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_NO_TICKET | SSL_OP_CIPHER_SERVER_PREFERENCE |
                   SSL_OP_IGNORE_UNEXPECTED_EOF);
  SSL_CTX_set_mode(context, SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_RELEASE_BUFFERS);
  SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
  SSL_CTX_set_num_tickets(context, 0);
  return SSL_CTX_set_min_proto_version(context, minimum_version) &&
         SSL_CTX_set_max_proto_version(context, maximum_version) &&
         // AES-128 first: as safe here, and a third faster on bulk transfers.
         SSL_CTX_set_ciphersuites(
             context, "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256") &&
         SSL_CTX_set_cipher_list(
             context, "ECDHE+AESGCM+AES128:ECDHE+AESGCM:ECDHE+CHACHA20:DHE+AESGCM:!aNULL:!PSK");
}

int meridian_err_reason(unsigned long error) { return ERR_GET_REASON(error); }

void meridian_x509_names(
    X509 *certificate, void *context,
    void (*body)(void *context, int kind, const unsigned char *bytes, int length)) {
  X509_NAME *subject = X509_get_subject_name(certificate);
  int at = subject ? X509_NAME_get_index_by_NID(subject, NID_commonName, -1) : -1;
  if (at >= 0) {
    ASN1_STRING *text = X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, at));
    unsigned char *utf8 = NULL;
    int length = text ? ASN1_STRING_to_UTF8(&utf8, text) : -1;
    if (length >= 0) body(context, 0, utf8, length);
    OPENSSL_free(utf8);
  }
  GENERAL_NAMES *names = X509_get_ext_d2i(certificate, NID_subject_alt_name, NULL, NULL);
  for (int i = 0; names && i < sk_GENERAL_NAME_num(names); i++) {
    const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, i);
    const ASN1_STRING *text = NULL;
    int kind = 0;
    switch (name->type) {
      case GEN_DNS: kind = 1, text = name->d.dNSName; break;
      case GEN_IPADD: kind = 2, text = name->d.iPAddress; break;
      case GEN_URI: kind = 3, text = name->d.uniformResourceIdentifier; break;
      default: continue;
    }
    body(context, kind, ASN1_STRING_get0_data(text), ASN1_STRING_length(text));
  }
  GENERAL_NAMES_free(names);
}

EVP_PKEY *meridian_p256_key_new(void) { return EVP_EC_gen("P-256"); }

int meridian_x509_add_extension(X509 *certificate, X509 *issuer, int nid, const char *value) {
  X509V3_CTX context;
  X509V3_set_ctx_nodb(&context);
  X509V3_set_ctx(&context, issuer, certificate, NULL, NULL, 0);
  X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, &context, nid, value);
  if (!extension) return 0;
  int added = X509_add_ext(certificate, extension, -1);
  X509_EXTENSION_free(extension);
  return added;
}

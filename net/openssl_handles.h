#pragma once

// Owners of OpenSSL's objects, and its errors as text. Included by net's .cc files alone.

#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include <memory>
#include <string>

namespace nearside::net {

struct OpensslDeleter {
  void operator()(SSL* ssl) const { SSL_free(ssl); }
  void operator()(SSL_CTX* context) const { SSL_CTX_free(context); }
  void operator()(X509* certificate) const { X509_free(certificate); }
  void operator()(EVP_PKEY* key) const { EVP_PKEY_free(key); }
  void operator()(EVP_CIPHER* cipher) const { EVP_CIPHER_free(cipher); }
  void operator()(BIO* bio) const { BIO_free_all(bio); }
};

template <typename T>
using OpensslPtr = std::unique_ptr<T, OpensslDeleter>;

/// The first error in OpenSSL's queue of this thread, in its own words; empties the queue.
std::string TakeOpensslError();

}  // namespace nearside::net

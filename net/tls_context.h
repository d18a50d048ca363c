#pragma once

// What the public classes of tls.h hold, for the files of net that make connections of them.

#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "net/openssl_handles.h"
#include "net/tls.h"

namespace nearside::net {

/// Protocol versions, ciphers, groups and memory, alike on both sides. Ciphers with AES-128-GCM
/// first where the processor has AES, else ChaCha20. Error: kSelf tls_setup.
Status ConfigureTls(SSL_CTX* context);
/// Protocol names as RFC 7301 writes them: each with its length before it.
std::string AlpnWire(const std::vector<std::string>& protocols);
/// The same name in lower case and without the dot at its end.
std::string CanonicalHost(std::string_view host);

/// One certificate with its SSL_CTX. Owned by its TlsServerContext, whose thread it shares.
class TlsIdentity {
 public:
  /// Error: kOperator bad_certificate.
  static Result<std::unique_ptr<TlsIdentity>> Create(const Certificate& certificate);
  SSL_CTX* context() const { return context_.get(); }
  /// The DNS names that it was issued for, in lower case: subjectAltName, or the common name
  /// without any.
  std::vector<std::string> Names() const;
  /// Whether `host` is one of its names or addresses. Remembers what it was asked for.
  bool Covers(std::string_view host);

 private:
  struct HostHash : std::hash<std::string_view> {
    using is_transparent = void;
  };
  OpensslPtr<SSL_CTX> context_;
  X509* leaf_ = nullptr;  // of context_
  std::unordered_map<std::string, bool, HostHash, std::equal_to<>> asked_;
};

/// Several identities behind one listener. One worker.
class TlsServerContext final : public TlsServer {
 public:
  static Result<std::shared_ptr<TlsServerContext>> Make(
      const std::vector<Certificate>& certificates, const std::vector<std::string>& alpn,
      const TicketKeys& ticket_keys);
  /// The context that a new connection starts with: the first certificate's.
  SSL_CTX* first() const { return identities_.front()->context(); }
  /// The identity that the connection ended up with.
  static TlsIdentity* IdentityOf(const SSL* ssl);

 private:
  TlsServerContext() = default;
  Status Add(const Certificate& certificate);
  void SetCallbacks(SSL_CTX* context);
  TlsIdentity* Find(std::string_view host) const;

  static int TicketOwnerIndex();
  static int ChooseCertificate(SSL* ssl, int* alert, void* self) noexcept;
  static int ChooseProtocol(SSL* ssl, const unsigned char** out, unsigned char* out_length,
                            const unsigned char* offered, unsigned int offered_length,
                            void* self) noexcept;
  static int UseTicketKey(SSL* ssl, unsigned char* name, unsigned char* iv, EVP_CIPHER_CTX* cipher,
                          EVP_MAC_CTX* mac, int encrypting) noexcept;

  std::vector<std::unique_ptr<TlsIdentity>> identities_;
  std::unordered_map<std::string, TlsIdentity*> by_name_;
  std::unordered_map<std::string, TlsIdentity*>
      by_wildcard_;  // "*.example.org" under "example.org"
  std::vector<std::string> alpn_;
  TicketKeys ticket_keys_{};
  OpensslPtr<EVP_CIPHER> ticket_cipher_;
};

/// Has the peer of a client's `ssl` verified as `host`, a canonical name or an address, and told by
/// SNI. Errors: kOrigin tls_failed (no name), kSelf tls_setup.
Status ExpectPeer(SSL* ssl, const std::string& host);

class TlsClientContext final : public TlsClient {
 public:
  static Result<std::shared_ptr<TlsClientContext>> Make(const std::string& ca_file,
                                                        const std::vector<std::string>& alpn);
  SSL_CTX* context() const { return context_.get(); }

 private:
  TlsClientContext() = default;
  OpensslPtr<SSL_CTX> context_;
};

}  // namespace nearside::net

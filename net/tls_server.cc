#include <openssl/core_names.h>
#include <openssl/rand.h>

#include <algorithm>
#include <cstring>

#include "net/tls.h"
#include "net/tls_context.h"
#include "runtime/crypto.h"

namespace nearside::net {

TicketKeys TicketKeys::Random() {
  TicketKeys keys;
  RandomBytes(keys.name);
  RandomBytes(keys.aes);
  RandomBytes(keys.mac);
  return keys;
}

Result<std::shared_ptr<TlsServer>> TlsServer::Create(const std::vector<Certificate>& certificates,
                                                     const std::vector<std::string>& alpn,
                                                     const TicketKeys& ticket_keys) {
  auto made = TlsServerContext::Make(certificates, alpn, ticket_keys);
  if (!made) return unexpected(made.error());
  return *made;
}

Result<std::shared_ptr<TlsServerContext>> TlsServerContext::Make(
    const std::vector<Certificate>& certificates, const std::vector<std::string>& alpn,
    const TicketKeys& ticket_keys) {
  if (certificates.empty()) {
    return Fail(Fault::kOperator, "bad_certificate",
                "a TLS listener needs a certificate: add a [[certificate]] table");
  }
  std::shared_ptr<TlsServerContext> server(new TlsServerContext);
  server->alpn_ = alpn;
  server->ticket_keys_ = ticket_keys;
  server->ticket_cipher_.reset(EVP_CIPHER_fetch(nullptr, "AES-256-CBC", nullptr));
  if (server->ticket_cipher_ == nullptr) return Fail(Fault::kSelf, "tls_setup", TakeOpensslError());
  for (const Certificate& certificate : certificates) {
    if (auto added = server->Add(certificate); !added) return unexpected(added.error());
  }
  return server;
}

Status TlsServerContext::Add(const Certificate& certificate) {
  auto identity = TlsIdentity::Create(certificate);
  if (!identity) return unexpected(identity.error());
  SetCallbacks((*identity)->context());
  // The first certificate with a name keeps it.
  for (const std::string& name : (*identity)->Names()) {
    if (name.starts_with("*.")) {
      by_wildcard_.emplace(name.substr(2), identity->get());
    } else {
      by_name_.emplace(name, identity->get());
    }
  }
  identities_.push_back(std::move(*identity));
  return {};
}

void TlsServerContext::SetCallbacks(SSL_CTX* context) {
  static constexpr unsigned char kSessionContext[] = "nearside";
  SSL_CTX_set_session_id_context(context, kSessionContext, sizeof kSessionContext - 1);
  SSL_CTX_set_num_tickets(context, 1);  // each further one costs 2 % of a handshake
  SSL_CTX_set_tlsext_servername_callback(context, ChooseCertificate);
  SSL_CTX_set_tlsext_servername_arg(context, this);
  if (!alpn_.empty()) SSL_CTX_set_alpn_select_cb(context, ChooseProtocol, this);
  SSL_CTX_set_ex_data(context, TicketOwnerIndex(), this);
  SSL_CTX_set_tlsext_ticket_key_evp_cb(context, UseTicketKey);
}

int TlsServerContext::TicketOwnerIndex() {
  static const int index = SSL_CTX_get_ex_new_index(0, nullptr, nullptr, nullptr, nullptr);
  return index;
}

TlsIdentity* TlsServerContext::IdentityOf(const SSL* ssl) {
  return static_cast<TlsIdentity*>(SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl)));
}

TlsIdentity* TlsServerContext::Find(std::string_view host) const {
  std::string name = CanonicalHost(host);
  if (auto exact = by_name_.find(name); exact != by_name_.end()) return exact->second;
  size_t dot = name.find('.');
  if (dot == std::string::npos) return nullptr;
  auto wildcard = by_wildcard_.find(name.substr(dot + 1));
  return wildcard != by_wildcard_.end() ? wildcard->second : nullptr;
}

int TlsServerContext::ChooseCertificate(SSL* ssl, int*, void* self) noexcept {
  const char* name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
  if (name == nullptr) return SSL_TLSEXT_ERR_NOACK;
  TlsIdentity* identity = static_cast<TlsServerContext*>(self)->Find(name);
  // Nobody's name: the first certificate, and the request is answered 421 (RFC 9110 §15.5.20).
  if (identity == nullptr) return SSL_TLSEXT_ERR_OK;
  if (identity->context() != SSL_get_SSL_CTX(ssl)) SSL_set_SSL_CTX(ssl, identity->context());
  return SSL_TLSEXT_ERR_OK;
}

int TlsServerContext::ChooseProtocol(SSL*, const unsigned char** out, unsigned char* out_length,
                                     const unsigned char* offered, unsigned int offered_length,
                                     void* self) noexcept {
  for (const std::string& ours : static_cast<TlsServerContext*>(self)->alpn_) {
    for (unsigned int at = 0; at < offered_length;) {
      unsigned int length = offered[at];
      if (at + 1 + length > offered_length) break;
      if (length == ours.size() && std::memcmp(offered + at + 1, ours.data(), length) == 0) {
        *out = offered + at + 1;
        *out_length = static_cast<unsigned char>(length);
        return SSL_TLSEXT_ERR_OK;
      }
      at += 1 + length;
    }
  }
  return SSL_TLSEXT_ERR_ALERT_FATAL;  // RFC 7301 §3.2: no_application_protocol
}

int TlsServerContext::UseTicketKey(SSL* ssl, unsigned char* name, unsigned char* iv,
                                   EVP_CIPHER_CTX* cipher, EVP_MAC_CTX* mac,
                                   int encrypting) noexcept {
  auto* self =
      static_cast<TlsServerContext*>(SSL_CTX_get_ex_data(SSL_get_SSL_CTX(ssl), TicketOwnerIndex()));
  TicketKeys& keys = self->ticket_keys_;
  char digest[] = "SHA256";
  OSSL_PARAM parameters[] = {
      OSSL_PARAM_construct_octet_string(OSSL_MAC_PARAM_KEY, keys.mac.data(), keys.mac.size()),
      OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0),
      OSSL_PARAM_construct_end()};
  if (encrypting == 0 && std::memcmp(name, keys.name.data(), keys.name.size()) != 0) {
    return 0;  // another fleet's ticket, or one from before: a full handshake
  }
  if (encrypting != 0) {
    std::copy(keys.name.begin(), keys.name.end(), name);
    if (RAND_bytes(iv, EVP_CIPHER_get_iv_length(self->ticket_cipher_.get())) != 1) return -1;
  }
  bool ready = EVP_CipherInit_ex2(cipher, self->ticket_cipher_.get(), keys.aes.data(), iv,
                                  encrypting, nullptr) == 1 &&
               EVP_MAC_CTX_set_params(mac, parameters) == 1;
  return ready ? 1 : -1;
}

}  // namespace nearside::net

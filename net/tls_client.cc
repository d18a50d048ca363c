#include <openssl/err.h>
#include <openssl/x509v3.h>

#include "net/address.h"
#include "net/tls.h"
#include "net/tls_cipher_module.h"
#include "net/tls_context.h"

namespace nearside::net {

Result<std::shared_ptr<TlsClient>> TlsClient::Create(const std::string& ca_file,
                                                     const std::vector<std::string>& alpn) {
  auto made = TlsClientContext::Make(ca_file, alpn);
  if (!made) return unexpected(made.error());
  return *made;
}

Status ExpectPeer(SSL* ssl, const std::string& host) {
  // OpenSSL takes an empty name for "do not verify", and ends one at a NUL.
  if (host.empty() || host.find('\0') != std::string::npos) {
    return Fail(Fault::kOrigin, "tls_failed", "a TLS connection needs a name to verify");
  }
  bool set = false;
  if (IsIpLiteral(host)) {
    // RFC 6066 §3: no address literals in SNI.
    set = X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), host.c_str()) == 1;
  } else {
    SSL_set_hostflags(ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    set = SSL_set1_host(ssl, host.c_str()) == 1 && SSL_set_tlsext_host_name(ssl, host.c_str()) == 1;
  }
  if (!set) return Fail(Fault::kSelf, "tls_setup", "server name: " + TakeOpensslError());
  return {};
}

Result<std::shared_ptr<TlsClientContext>> TlsClientContext::Make(
    const std::string& ca_file, const std::vector<std::string>& alpn) {
  std::shared_ptr<TlsClientContext> client(new TlsClientContext);
  client->context_.reset(SSL_CTX_new_ex(nullptr, TlsProperties(), TLS_client_method()));
  SSL_CTX* context = client->context_.get();
  if (context == nullptr) return Fail(Fault::kSelf, "tls_setup", TakeOpensslError());
  if (auto status = ConfigureTls(context); !status) return unexpected(status.error());
  SSL_CTX_set_verify(context, SSL_VERIFY_PEER, nullptr);
  int loaded = ca_file.empty() ? SSL_CTX_set_default_verify_paths(context)
                               : SSL_CTX_load_verify_file(context, ca_file.c_str());
  if (loaded != 1) {
    std::string file = ca_file.empty() ? "the system's CA store" : ca_file;
    return Fail(
        Fault::kOperator, "bad_certificate",
        file + ": cannot be used as PEM file of trusted authorities: " + TakeOpensslError());
  }
  std::string wire = AlpnWire(alpn);
  // Unlike its neighbours this call answers 0 for success.
  if (!wire.empty() &&
      SSL_CTX_set_alpn_protos(context, reinterpret_cast<const unsigned char*>(wire.data()),
                              static_cast<unsigned int>(wire.size())) != 0) {
    return Fail(Fault::kSelf, "tls_setup", "ALPN: " + TakeOpensslError());
  }
  return client;
}

}  // namespace nearside::net

#include <openssl/err.h>

#include "net/tls.h"
#include "net/tls_context.h"

namespace nearside::net {

Result<std::shared_ptr<TlsClient>> TlsClient::Create(const std::string& ca_file,
                                                     const std::vector<std::string>& alpn) {
  auto made = TlsClientContext::Make(ca_file, alpn);
  if (!made) return unexpected(made.error());
  return *made;
}

Result<std::shared_ptr<TlsClientContext>> TlsClientContext::Make(
    const std::string& ca_file, const std::vector<std::string>& alpn) {
  std::shared_ptr<TlsClientContext> client(new TlsClientContext);
  client->context_.reset(SSL_CTX_new(TLS_client_method()));
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

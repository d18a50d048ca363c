// What every TLS context of ours has in common, server or client.

#include <openssl/err.h>
#include <sys/auxv.h>

#include <algorithm>
#include <system_error>

#include "net/tls_context.h"

namespace nearside::net {

namespace {

bool HasHardwareAes() {
#if defined(__x86_64__) || defined(__i386__)
  return __builtin_cpu_supports("aes") != 0;
#elif defined(__aarch64__)
  constexpr unsigned long kAes = 1 << 3;  // HWCAP_AES
  return (getauxval(AT_HWCAP) & kAes) != 0;
#else
  return false;
#endif
}

}  // namespace

Status ConfigureTls(SSL_CTX* context) {
  const char* suites =
      HasHardwareAes()
          ? "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256"
          : "TLS_CHACHA20_POLY1305_SHA256:TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384";
  // TLS 1.2: forward secrecy and AEAD alone, which keeps RFC 9113 Appendix A's list out.
  const char* old_suites =
      "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:"
      "ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305:"
      "ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384";
  bool done = SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION) == 1 &&
              SSL_CTX_set_ciphersuites(context, suites) == 1 &&
              SSL_CTX_set_cipher_list(context, old_suites) == 1 &&
              SSL_CTX_set1_groups_list(context, "X25519:P-256:P-384") == 1;
  if (!done) return Fail(Fault::kSelf, "tls_setup", "OpenSSL: " + TakeOpensslError());
  // PRIORITIZE_CHACHA: a client that puts ChaCha20 first has no AES in hardware.
  SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
                                   SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_PRIORITIZE_CHACHA);
  // RELEASE_BUFFERS: an idle connection holds no record buffers (34 KiB).
  SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_NO_AUTO_CHAIN);
  SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
  return {};
}

std::string AlpnWire(const std::vector<std::string>& protocols) {
  std::string wire;
  for (const std::string& protocol : protocols) {
    wire += static_cast<char>(protocol.size());
    wire += protocol;
  }
  return wire;
}

std::string TakeOpensslError() {
  unsigned long code = ERR_get_error();
  const char* reason = ERR_reason_error_string(code);
  ERR_clear_error();
  if (code == 0) return "no reason given";
  if (ERR_SYSTEM_ERROR(code)) return std::generic_category().message(ERR_GET_REASON(code));
  return reason != nullptr ? reason : "OpenSSL error " + std::to_string(code);
}

std::string CanonicalHost(std::string_view host) {
  if (host.ends_with('.')) host.remove_suffix(1);
  std::string lower(host);
  std::transform(lower.begin(), lower.end(), lower.begin(),
                 [](unsigned char c) { return c >= 'A' && c <= 'Z' ? c + ('a' - 'A') : c; });
  return lower;
}

}  // namespace nearside::net

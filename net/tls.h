#pragma once

// TLS by OpenSSL 3.0. Contexts are made once per worker: OpenSSL 3.0 serialises threads that share
// one.

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/clock.h"
#include "runtime/result.h"

namespace nearside::net {

/// A certificate chain and its key as PEM text, with the file names for errors.
struct Certificate {
  std::string chain_file;
  std::string key_file;
  std::string chain_pem;
  std::string key_pem;
  WallTime expires;  ///< of the first certificate of the chain; set by LoadCertificate
};

/// When the first of them expires; the end of time when there are none.
WallTime EarliestExpiry(const std::vector<Certificate>& certificates);

/// Reads both files. Errors: kOperator bad_certificate or bad_key, naming the file and what is
/// wrong: missing, not PEM, key of another certificate; expired ones only warn.
Result<Certificate> LoadCertificate(const std::string& chain_file, const std::string& key_file);

/// Keys that encrypt session tickets; every worker of a daemon (and of a fleet, later) uses the
/// same.
struct TicketKeys {
  std::array<uint8_t, 16> name;
  std::array<uint8_t, 32> aes;
  std::array<uint8_t, 32> mac;
  static TicketKeys Random();
};

/// Server side: TLS 1.2 and 1.3, several certificates chosen by SNI (exact name, then wildcard,
/// then the first), ALPN in our order of preference, one ticket a handshake, no early data, no
/// renegotiation. Made and used by one worker; streams keep what they need alive when it is
/// replaced on reload.
class TlsServer {
 public:
  /// Error: kOperator bad_certificate.
  static Result<std::shared_ptr<TlsServer>> Create(const std::vector<Certificate>& certificates,
                                                   const std::vector<std::string>& alpn,
                                                   const TicketKeys& ticket_keys);
  virtual ~TlsServer() = default;
};

/// Client side: TLS 1.2 and 1.3; the peer is verified against `ca_file` (PEM) or, when empty, the
/// system's store, and against the name it was asked for.
class TlsClient {
 public:
  /// Error: kOperator bad_certificate when the CA file cannot be used.
  static Result<std::shared_ptr<TlsClient>> Create(const std::string& ca_file,
                                                   const std::vector<std::string>& alpn);
  virtual ~TlsClient() = default;
};

}  // namespace nearside::net

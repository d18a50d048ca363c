// Certificates and keys from PEM: what tls.h's LoadCertificate and the server contexts are made of.

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include <algorithm>
#include <ctime>
#include <string>

#include "net/address.h"
#include "net/tls.h"
#include "net/tls_cipher_module.h"
#include "net/tls_context.h"
#include "runtime/file.h"
#include "runtime/log.h"
#include "runtime/units.h"

namespace nearside::net {

namespace {

constexpr ByteSize kMaxPemBytes = 1_MiB;
constexpr size_t kMaxRememberedHosts = 1024;  // of one certificate: clients choose them

tl::unexpected<Error> BadCertificate(const std::string& file, const std::string& what) {
  ERR_clear_error();
  return Fail(Fault::kOperator, "bad_certificate", file + ": " + what);
}

tl::unexpected<Error> BadKey(const std::string& file, const std::string& what) {
  ERR_clear_error();
  return Fail(Fault::kOperator, "bad_key", file + ": " + what);
}

int RefusePassword(char*, int, int, void* asked) noexcept {
  *static_cast<bool*>(asked) = true;
  return -1;
}

OpensslPtr<BIO> PemBio(const std::string& pem) {
  return OpensslPtr<BIO>(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
}

struct Chain {
  OpensslPtr<X509> leaf;
  std::vector<OpensslPtr<X509>> issuers;
};

Result<Chain> ReadChain(const Certificate& certificate) {
  Chain chain;
  OpensslPtr<BIO> bio = PemBio(certificate.chain_pem);
  while (X509* next = PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr)) {
    if (chain.leaf == nullptr) {
      chain.leaf.reset(next);
    } else {
      chain.issuers.emplace_back(next);
    }
  }
  bool at_end = ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE;
  std::string why = TakeOpensslError();
  if (chain.leaf == nullptr && at_end) {
    return BadCertificate(certificate.chain_file,
                          "holds no certificate: expected PEM, \"-----BEGIN CERTIFICATE-----\"");
  }
  if (!at_end) return BadCertificate(certificate.chain_file, "is broken PEM: " + why);
  return chain;
}

Result<OpensslPtr<EVP_PKEY>> ReadKey(const Certificate& certificate) {
  OpensslPtr<BIO> bio = PemBio(certificate.key_pem);
  bool encrypted = false;
  OpensslPtr<EVP_PKEY> key(PEM_read_bio_PrivateKey(bio.get(), nullptr, RefusePassword, &encrypted));
  if (encrypted) {
    return BadKey(certificate.key_file,
                  "is encrypted: expected a key without a password (openssl pkey -in ...)");
  }
  if (key == nullptr) {
    return BadKey(certificate.key_file,
                  "holds no private key: expected PEM, \"-----BEGIN PRIVATE KEY-----\"");
  }
  return key;
}

struct KeyedChain {
  Chain chain;
  OpensslPtr<EVP_PKEY> key;
};

Result<KeyedChain> ReadPair(const Certificate& certificate) {
  auto chain = ReadChain(certificate);
  if (!chain) return unexpected(chain.error());
  auto key = ReadKey(certificate);
  if (!key) return unexpected(key.error());
  if (X509_check_private_key(chain->leaf.get(), key->get()) != 1) {
    return BadKey(certificate.key_file,
                  "is the key of another certificate than the first in " + certificate.chain_file);
  }
  return KeyedChain{std::move(*chain), std::move(*key)};
}

std::string TextOf(const ASN1_STRING* value) {
  return {reinterpret_cast<const char*>(ASN1_STRING_get0_data(value)),
          static_cast<size_t>(ASN1_STRING_length(value))};
}

void WarnOfDates(const Certificate& certificate, const X509* leaf) {
  if (X509_cmp_current_time(X509_get0_notAfter(leaf)) < 0) {
    Log(Level::kWarning, "certificate_expired", {{"file", certificate.chain_file}});
  } else if (X509_cmp_current_time(X509_get0_notBefore(leaf)) > 0) {
    Log(Level::kWarning, "certificate_not_yet_valid", {{"file", certificate.chain_file}});
  }
}

WallTime TimeOf(const ASN1_TIME* time) {
  std::tm parts{};
  if (ASN1_TIME_to_tm(time, &parts) != 1) return {};
  return FromUnixMillis(static_cast<int64_t>(::timegm(&parts)) * 1000);
}

Result<std::string> ReadPem(const std::string& file, std::string_view reason) {
  auto text = ReadFile(file, kMaxPemBytes);
  if (text) return text;
  // The message begins with the file's name already.
  return Fail(Fault::kOperator, reason, text.error().message + "; expected a PEM file");
}

}  // namespace

Result<Certificate> LoadCertificate(const std::string& chain_file, const std::string& key_file) {
  auto chain_pem = ReadPem(chain_file, "bad_certificate");
  if (!chain_pem) return unexpected(chain_pem.error());
  auto key_pem = ReadPem(key_file, "bad_key");
  if (!key_pem) return unexpected(key_pem.error());
  Certificate certificate{chain_file, key_file, std::move(*chain_pem), std::move(*key_pem), {}};
  auto pair = ReadPair(certificate);
  if (!pair) return unexpected(pair.error());
  certificate.expires = TimeOf(X509_get0_notAfter(pair->chain.leaf.get()));
  WarnOfDates(certificate, pair->chain.leaf.get());
  return certificate;
}

WallTime EarliestExpiry(const std::vector<Certificate>& certificates) {
  WallTime earliest = WallTime::max();
  for (const Certificate& each : certificates) earliest = std::min(earliest, each.expires);
  return earliest;
}

Result<std::unique_ptr<TlsIdentity>> TlsIdentity::Create(const Certificate& certificate) {
  auto pair = ReadPair(certificate);
  if (!pair) return unexpected(pair.error());
  auto identity = std::make_unique<TlsIdentity>();
  identity->context_.reset(SSL_CTX_new_ex(nullptr, TlsProperties(), TLS_server_method()));
  SSL_CTX* context = identity->context_.get();
  if (context == nullptr) return Fail(Fault::kSelf, "tls_setup", TakeOpensslError());
  if (auto status = ConfigureTls(context); !status) return unexpected(status.error());
  if (SSL_CTX_use_certificate(context, pair->chain.leaf.get()) != 1) {
    // For example a key that is too short for the system's security level.
    return BadCertificate(certificate.chain_file, "cannot be used: " + TakeOpensslError());
  }
  if (SSL_CTX_use_PrivateKey(context, pair->key.get()) != 1) {
    return BadCertificate(certificate.key_file, "cannot be used: " + TakeOpensslError());
  }
  for (const auto& issuer : pair->chain.issuers) {
    if (SSL_CTX_add1_chain_cert(context, issuer.get()) != 1) {
      return BadCertificate(certificate.chain_file, "chain cannot be used: " + TakeOpensslError());
    }
  }
  identity->leaf_ = SSL_CTX_get0_certificate(context);
  SSL_CTX_set_app_data(context, identity.get());
  return identity;
}

std::vector<std::string> TlsIdentity::Names() const {
  std::vector<std::string> names;
  auto* alternatives =
      static_cast<GENERAL_NAMES*>(X509_get_ext_d2i(leaf_, NID_subject_alt_name, nullptr, nullptr));
  for (int i = 0; i < sk_GENERAL_NAME_num(alternatives); ++i) {
    const GENERAL_NAME* name = sk_GENERAL_NAME_value(alternatives, i);
    if (name->type == GEN_DNS) names.push_back(CanonicalHost(TextOf(name->d.dNSName)));
  }
  GENERAL_NAMES_free(alternatives);
  if (!names.empty()) return names;
  X509_NAME* subject = X509_get_subject_name(leaf_);
  int at = X509_NAME_get_index_by_NID(subject, NID_commonName, -1);
  if (at < 0) return names;
  names.push_back(
      CanonicalHost(TextOf(X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, at)))));
  return names;
}

bool TlsIdentity::Covers(std::string_view host) {
  if (auto known = asked_.find(host); known != asked_.end()) return known->second;
  std::string name(host);
  bool covers = IsIpLiteral(host)
                    ? X509_check_ip_asc(leaf_, name.c_str(), 0) == 1
                    : X509_check_host(leaf_, name.data(), name.size(),
                                      X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS, nullptr) == 1;
  if (asked_.size() >= kMaxRememberedHosts) asked_.clear();
  asked_.emplace(std::move(name), covers);
  return covers;
}

}  // namespace nearside::net

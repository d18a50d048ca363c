#pragma once

#include <memory>
#include <string>
#include <vector>

#include "net/openssl_handles.h"
#include "net/tls.h"

namespace nearside::net {

/// A folder that lives as long as the test.
class ScratchFolder {
 public:
  ScratchFolder();
  ~ScratchFolder();
  ScratchFolder(const ScratchFolder&) = delete;
  ScratchFolder& operator=(const ScratchFolder&) = delete;
  /// Writes a file and answers its path.
  std::string Write(const std::string& name, const std::string& content) const;
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

/// A certificate authority made for one test.
class TestAuthority {
 public:
  struct Leaf {
    std::vector<std::string> names;  ///< DNS names for subjectAltName
    std::vector<std::string> addresses;
    std::string common_name = "leaf";
    int from_days = -1;  ///< valid from, in days from now
    int until_days = 30;
  };

  TestAuthority();
  Certificate Issue(const Leaf& leaf) const;
  /// The authority's own certificate as PEM.
  std::string Pem() const;
  /// A PEM file with it, for TlsClient::Create. Lives as long as the authority.
  const std::string& file() const { return file_; }

 private:
  OpensslPtr<EVP_PKEY> key_;
  OpensslPtr<X509> certificate_;
  ScratchFolder folder_;
  std::string file_;
};

/// A fresh P-256 key, and its PEM form; with a password it is encrypted.
OpensslPtr<EVP_PKEY> MakeKey();
std::string KeyPem(EVP_PKEY* key, const char* password = nullptr);

}  // namespace nearside::net

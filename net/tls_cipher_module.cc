#include "net/tls_cipher_module.h"

#include <openssl/err.h>
#include <openssl/provider.h>

#include <filesystem>
#include <system_error>

namespace nearside::net {

namespace {

constexpr const char* kName = "vaes";
constexpr const char* kPreferIt = "?provider=vaes";

const char* properties = nullptr;
/// Loaded until the process ends; contexts may be in use until then.
OSSL_PROVIDER* default_provider = nullptr;
OSSL_PROVIDER* module_provider = nullptr;

}  // namespace

bool LoadTlsCiphers(const std::string& folder) {
  std::error_code error;
  if (folder.empty() || !std::filesystem::exists(folder + "/vaes.so", error)) return false;
  // Once a provider has been asked for, OpenSSL's default one is no longer there by itself.
  if (default_provider == nullptr) default_provider = OSSL_PROVIDER_load(nullptr, "default");
  if (default_provider == nullptr) return false;
  OSSL_PROVIDER_set_default_search_path(nullptr, folder.c_str());
  if (module_provider == nullptr) module_provider = OSSL_PROVIDER_load(nullptr, kName);
  ERR_clear_error();
  if (module_provider == nullptr) return false;
  properties = kPreferIt;
  return true;
}

std::string TlsCipherFolder() {
  std::error_code error;
  const std::filesystem::path program = std::filesystem::read_symlink("/proc/self/exe", error);
  if (error) return "";
  return (program.parent_path().parent_path() / "lib" / "nearside").string();
}

const char* TlsProperties() { return properties; }

}  // namespace nearside::net

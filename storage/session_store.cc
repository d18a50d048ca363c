#include "storage/session_store.h"

#include <algorithm>
#include <array>

#include "runtime/crypto.h"
#include "storage/lmdb_session_store.h"

namespace nearside::storage {
namespace {

constexpr size_t kIdBytes = 32;
constexpr size_t kIdCharacters = 43;  ///< of kIdBytes in base64url

bool IsIdCharacter(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
         c == '_';
}

}  // namespace

Key256 SessionKeyOf(std::string_view id) { return Key256{Sha256Of(id)}; }

std::string RandomSessionId() {
  std::array<uint8_t, kIdBytes> random{};
  RandomBytes(random);
  return Base64UrlEncode(random);
}

bool IsSessionId(std::string_view text) {
  return text.size() == kIdCharacters && std::all_of(text.begin(), text.end(), IsIdCharacter);
}

Result<std::unique_ptr<SessionStore>> SessionStore::Open(std::string_view url,
                                                         const SessionOptions& options) {
  constexpr std::string_view kLmdb = "lmdb:";
  if (url.starts_with(kLmdb) && url.size() > kLmdb.size()) {
    return OpenLmdbSessions(std::string(url.substr(kLmdb.size())), options);
  }
  return Fail(Fault::kOperator, "bad_url",
              "\"" + std::string(url) +
                  "\": expected the URL of a store of sessions, for example "
                  "\"lmdb:var/origin/sessions\"");
}

}  // namespace nearside::storage

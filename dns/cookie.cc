#include "dns/cookie.h"

#include <algorithm>
#include <cstring>
#include <string_view>

#include "dns/wire.h"
#include "runtime/hash.h"

namespace nearside::dns {
namespace {

constexpr uint8_t kVersion = 1;
constexpr size_t kTimestampAt = 12;  // in a whole cookie: behind client, version and reserved bytes
constexpr size_t kHashAt = 16;
constexpr size_t kHashBytes = 8;
// RFC 9018 §4.3, in seconds.
constexpr int32_t kMostAge = 3600;
constexpr int32_t kMostAhead = 300;
constexpr int32_t kRenewAge = 1800;

using Hash = std::array<uint8_t, kHashBytes>;

/// Of all that stands before the hash, as it came, and the client's address. Compared without
/// regard to time: a forged cookie has one try in 2^64, and each of them is a datagram.
Hash HashOf(const uint8_t* cookie, std::span<const uint8_t> address, const CookieSecret& secret) {
  std::array<uint8_t, kHashAt + 16> input;
  std::copy_n(cookie, kHashAt, input.begin());
  const size_t address_bytes = std::min<size_t>(address.size(), 16);
  std::copy_n(address.begin(), address_bytes, input.begin() + kHashAt);
  std::array<uint64_t, 2> key;
  std::memcpy(key.data(), secret.data(), secret.size());  // both little-endian, as SipHash has them
  const uint64_t hash = SipHash(
      std::string_view(reinterpret_cast<const char*>(input.data()), kHashAt + address_bytes), key);
  Hash bytes;
  std::memcpy(bytes.data(), &hash, sizeof hash);
  return bytes;
}

bool IsMadeWith(const CookieSecret& secret, std::span<const uint8_t> cookie,
                std::span<const uint8_t> address) {
  const Hash hash = HashOf(cookie.data(), address, secret);
  return std::equal(hash.begin(), hash.end(), cookie.begin() + kHashAt);
}

}  // namespace

Cookie MakeCookie(std::span<const uint8_t, kClientCookieBytes> client,
                  std::span<const uint8_t> address, const CookieSecret& secret, uint32_t now) {
  Cookie cookie{};
  std::copy(client.begin(), client.end(), cookie.begin());
  cookie[kClientCookieBytes] = kVersion;
  Store32(cookie.data() + kTimestampAt, now);
  const Hash hash = HashOf(cookie.data(), address, secret);
  std::copy(hash.begin(), hash.end(), cookie.begin() + kHashAt);
  return cookie;
}

ReceivedCookie ReceiveCookie(std::span<const uint8_t> cookie, std::span<const uint8_t> address,
                             const CookieSecrets& secrets, uint32_t now) {
  ReceivedCookie received;
  if (cookie.size() < kClientCookieBytes) return received;
  received.answer = MakeCookie(cookie.first<kClientCookieBytes>(), address, secrets.current, now);
  received.state = CookieState::kClientOnly;
  if (cookie.size() == kClientCookieBytes) return received;
  received.state = CookieState::kBad;
  if (cookie.size() != kCookieBytes || cookie[kClientCookieBytes] != kVersion) return received;
  // Serial number arithmetic (RFC 1982), as RFC 9018 §4.3 wants it.
  const auto age = static_cast<int32_t>(now - Load32(cookie.data() + kTimestampAt));
  if (age > kMostAge || age < -kMostAhead) return received;
  const bool is_current = IsMadeWith(secrets.current, cookie, address);
  if (!is_current && !(secrets.other && IsMadeWith(*secrets.other, cookie, address))) {
    return received;
  }
  received.state = CookieState::kGood;
  if (is_current && age <= kRenewAge)
    std::copy(cookie.begin(), cookie.end(), received.answer.begin());
  return received;
}

}  // namespace nearside::dns

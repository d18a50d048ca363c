#include "http/request_id.h"

#include <algorithm>
#include <array>

#include "http/characters.h"
#include "runtime/crypto.h"

namespace nearside::http {
namespace {

bool IsOfId(char c) { return IsAlpha(c) || IsDigit(c) || c == '-' || c == '_' || c == '.'; }

}  // namespace

RequestIds::RequestIds() {
  std::array<uint8_t, 8> drawn{};
  RandomBytes(drawn);
  prefix_ = HexEncode(drawn);
}

std::string RequestIds::Of(uint64_t exchange) const {
  std::array<uint8_t, 8> number{};
  for (size_t i = number.size(); i-- > 0; exchange >>= 8) {
    number[i] = static_cast<uint8_t>(exchange & 0xff);
  }
  return prefix_ + HexEncode(number);
}

std::optional<std::string_view> RequestIdOf(const Fields& fields) {
  const auto id = fields.Get(kRequestIdField);
  if (!id || id->empty() || id->size() > kLongestRequestId) return std::nullopt;
  if (!std::all_of(id->begin(), id->end(), IsOfId)) return std::nullopt;
  return id;
}

}  // namespace nearside::http

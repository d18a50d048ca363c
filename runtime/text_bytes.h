#pragma once

#include <cstdint>
#include <span>
#include <string_view>

namespace nearside {

/// The same bytes, seen as text by parsers and as octets by streams.
inline std::string_view AsText(std::span<const uint8_t> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}
inline std::span<const uint8_t> AsBytes(std::string_view text) {
  return {reinterpret_cast<const uint8_t*>(text.data()), text.size()};
}

}  // namespace nearside

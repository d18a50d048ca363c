#pragma once

// Which C++ types a settings row can fill. Included by settings.h.

#include <chrono>
#include <concepts>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include "runtime/units.h"

namespace nearside::settings {

/// A value as the file gave it, checked and in our units.
using Parsed = std::variant<std::string, bool, int64_t, double, ByteSize, std::chrono::milliseconds,
                            std::vector<std::string>, std::vector<int64_t>, std::vector<double>>;

/// The alternatives of Parsed, in their order.
enum class Type : size_t {
  kText,
  kBool,
  kInteger,
  kNumber,
  kSize,
  kDuration,
  kTexts,
  kIntegers,
  kNumbers,
};

/// A row's type, and for integers what the C++ type can hold.
struct Kind {
  Type type = Type::kText;
  int64_t least = std::numeric_limits<int64_t>::min();
  int64_t most = std::numeric_limits<int64_t>::max();
};

template <typename T>
struct WithoutOptional {
  using Of = T;
};
template <typename T>
struct WithoutOptional<std::optional<T>> {
  using Of = T;
};

/// The alternative of Parsed that holds a T: itself, or int64_t for the other integers.
template <typename T>
using Held = std::conditional_t<std::integral<T> && !std::same_as<T, bool>, int64_t, T>;

template <typename H>
constexpr size_t kPlaceInParsed = []<typename... A>(std::variant<A...>*) {
  size_t place = 0;
  const bool found = ((std::same_as<A, H> || (++place, false)) || ...);
  return found ? place : sizeof...(A);
}(static_cast<Parsed*>(nullptr));

/// For T as Table::Key lists them.
template <typename T>
constexpr Kind KindOf() {
  constexpr size_t kPlace = kPlaceInParsed<Held<T>>;
  static_assert(kPlace < std::variant_size_v<Parsed>, "Table::Key lists the types it can fill");
  Kind kind{static_cast<Type>(kPlace)};
  if constexpr (std::integral<T> && !std::same_as<T, bool>) {
    using Limits = std::numeric_limits<T>;
    if (std::cmp_greater(Limits::min(), kind.least)) kind.least = Limits::min();
    if (std::cmp_less(Limits::max(), kind.most)) kind.most = static_cast<int64_t>(Limits::max());
  }
  return kind;
}

}  // namespace nearside::settings

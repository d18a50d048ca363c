#pragma once

// Who asks, and what it may do. Pure.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/result.h"

namespace nearside::origin {

/// What a token can be allowed: its scopes, each over one site or all.
enum class Right : uint8_t {
  kRead,     ///< see a site, its releases and assets
  kPublish,  ///< change assets, make and activate releases
  kPurge,    ///< make edges forget
  kAdmin,    ///< all of these, and change sites and tokens
};
inline constexpr Right kEveryRight[] = {Right::kRead, Right::kPublish, Right::kPurge,
                                        Right::kAdmin};

/// "read", "publish", "purge", "admin".
std::string_view RightName(Right right);
std::optional<Right> ParseRight(std::string_view name);

/// A set of them; a value.
class Rights {
 public:
  Rights() = default;
  void Add(Right right) { bits_ |= Bit(right); }
  /// Admin has them all.
  bool Has(Right right) const { return (bits_ & (Bit(right) | Bit(Right::kAdmin))) != 0; }
  /// As they were added, in the order of Right: "read", "purge".
  std::vector<std::string> Names() const;

 private:
  static uint8_t Bit(Right right) { return static_cast<uint8_t>(1 << static_cast<int>(right)); }
  uint8_t bits_ = 0;
};

/// Names to rights; words that are no right (of a newer program) open nothing.
Rights RightsOf(const std::vector<std::string>& names);

/// Where every site is meant, in place of a site's name.
inline constexpr std::string_view kEverySite;

struct Caller {
  std::string token;   ///< its id; "": one of the files of [auth]
  std::string name;    ///< the token's, or the setting that names the file
  std::string site;    ///< the one site that `rights` are of; "": all
  Rights rights;       ///< none for the fleet's token, which opens routes by itself
  bool fleet = false;  ///< an edge

  /// Whether it may do something to a site, or with kEverySite to what belongs to none.
  bool May(Right right, std::string_view of_site) const {
    return rights.Has(right) && (site.empty() || site == of_site);
  }
};

/// Error: kClient forbidden, saying which scope is missing and what the caller has.
Status Require(const Caller& caller, Right right, std::string_view site);

}  // namespace nearside::origin

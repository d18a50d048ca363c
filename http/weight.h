#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace nearside::http {

/// A member of Accept, Accept-Encoding or Accept-Language, taken apart (RFC 9110 §12.4.2). A view
/// into the member.
struct WeightedMember {
  std::string_view value;  ///< what is before the parameters
  /// The weight, 0 for what is not acceptable; 1000 without one. nullopt: it is no weight.
  std::optional<int> thousandths = 1000;
};

/// Of several weights the first counts; digits behind the third do not.
WeightedMember SplitWeight(std::string_view member);

/// "1", "0.9", "0.05", "0".
std::string FormatWeight(int thousandths);

}  // namespace nearside::http

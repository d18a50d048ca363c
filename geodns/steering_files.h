#pragma once

#include <map>
#include <string>
#include <string_view>

#include "runtime/clock.h"
#include "runtime/result.h"

namespace nearside::geodns {

/// Points of presence that an operator drained, and since when. What the settings do not name (any
/// more) stays: it is drained still when it comes back.
using OperatorDrains = std::map<std::string, WallTime, std::less<>>;

/// The state file as text, and back. Error: kSelf bad_state for what ToText did not write.
std::string OperatorDrainsToText(const OperatorDrains& drains);
Result<OperatorDrains> OperatorDrainsFromText(std::string_view text);

/// Shares below 1 of points by name, as a state file and back. Error: as above.
using SharesByName = std::map<std::string, double, std::less<>>;
std::string SharesToText(const SharesByName& shares);
Result<SharesByName> SharesFromText(std::string_view text);

}  // namespace nearside::geodns

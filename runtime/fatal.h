#pragma once

#include <string_view>

namespace nearside {

/// Prints "nearside: bug: WHAT" to stderr and aborts. For mistakes of ours that no input can cause:
/// a metric declared twice, a default that its own row refuses. Any thread.
[[noreturn]] void Fatal(std::string_view what);

}  // namespace nearside

#pragma once

#include <string>
#include <string_view>

#include "runtime/settings.h"

namespace nearside::edge {

/// The rows of a [[site]].
settings::Table SiteRows();
/// For Spec::check of a node's or a site's name: "" when `text` is one.
std::string CheckName(std::string_view text);

}  // namespace nearside::edge

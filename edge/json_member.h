#pragma once

// Members of JSON that somebody else has written.

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

namespace nearside::edge {

/// json[name] if it is a text, else "".
std::string TextMember(const nlohmann::json& json, const char* name);
/// The texts in json[name] if it is a list, else none.
std::vector<std::string> TextsMember(const nlohmann::json& json, const char* name);

}  // namespace nearside::edge

#include "edge/json_member.h"

#include <nlohmann/json.hpp>

namespace nearside::edge {

std::string TextMember(const nlohmann::json& json, const char* name) {
  const auto member = json.find(name);
  return member != json.end() && member->is_string() ? member->get<std::string>() : "";
}

std::vector<std::string> TextsMember(const nlohmann::json& json, const char* name) {
  std::vector<std::string> texts;
  const auto member = json.find(name);
  if (member == json.end() || !member->is_array()) return texts;
  for (const auto& text : *member) {
    if (text.is_string()) texts.push_back(text.get<std::string>());
  }
  return texts;
}

}  // namespace nearside::edge

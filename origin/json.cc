#include "origin/json.h"

#include <algorithm>
#include <nlohmann/json.hpp>

namespace nearside::origin {
namespace {

/// Whether brackets nest deeper than kJsonDepth: nlohmann has no limit of its own.
bool TooDeep(std::string_view text) {
  size_t depth = 0;
  bool in_string = false;
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (in_string) {
      if (c == '\\') ++i;
      if (c == '"') in_string = false;
    } else if (c == '"') {
      in_string = true;
    } else if (c == '[' || c == '{') {
      if (++depth > kJsonDepth) return true;
    } else if ((c == ']' || c == '}') && depth > 0) {
      --depth;
    }
  }
  return false;
}

}  // namespace

Result<nlohmann::json> ParseJson(std::string_view text) {
  if (TooDeep(text)) {
    return Fail(Fault::kClient, "bad_json",
                "the JSON nests deeper than " + std::to_string(kJsonDepth) + " levels");
  }
  try {
    return nlohmann::json::parse(text);
  } catch (const nlohmann::json::exception& error) {
    return Fail(Fault::kClient, "bad_json",
                std::string("the body is no JSON in UTF-8: ") + error.what());
  }
}

JsonObject::JsonObject(const nlohmann::json& json, std::string_view reason, std::string what)
    : json_(json), reason_(reason), what_(std::move(what)) {
  if (!json_.is_object()) Refuse("expected an object");
}

const nlohmann::json* JsonObject::Find(std::string_view key) {
  known_.emplace_back(key);
  if (!json_.is_object()) return nullptr;
  const auto found = json_.find(std::string(key));
  return found == json_.end() || found->is_null() ? nullptr : &*found;
}

void JsonObject::Expected(std::string_view key, std::string_view what) {
  Refuse("\"" + std::string(key) + "\": expected " + std::string(what));
}

void JsonObject::Refuse(std::string message) {
  if (problem_.empty()) problem_ = std::move(message);
}

std::string JsonObject::Text(std::string_view key, bool required) {
  const nlohmann::json* value = Find(key);
  if (value != nullptr && value->is_string()) return value->get<std::string>();
  if (value != nullptr || required) Expected(key, "a string");
  return "";
}

bool JsonObject::Bool(std::string_view key) {
  const nlohmann::json* value = Find(key);
  if (value == nullptr) return false;
  if (!value->is_boolean()) {
    Expected(key, "true or false");
    return false;
  }
  return value->get<bool>();
}

std::optional<uint64_t> JsonObject::Count(std::string_view key) {
  const nlohmann::json* value = Find(key);
  if (value == nullptr) return std::nullopt;
  if (!value->is_number_unsigned() || value->get<uint64_t>() > uint64_t{INT64_MAX}) {
    Expected(key, "a whole number, 0 or more");
    return std::nullopt;
  }
  return value->get<uint64_t>();
}

std::optional<double> JsonObject::Number(std::string_view key) {
  const nlohmann::json* value = Find(key);
  if (value == nullptr) return std::nullopt;
  if (!value->is_number()) {
    Expected(key, "a number");
    return std::nullopt;
  }
  return value->get<double>();
}

const nlohmann::json* JsonObject::Object(std::string_view key) {
  const nlohmann::json* value = Find(key);
  if (value == nullptr) return nullptr;
  if (!value->is_object()) {
    Expected(key, "an object");
    return nullptr;
  }
  return value;
}

const nlohmann::json* JsonObject::Array(std::string_view key, size_t most) {
  const nlohmann::json* value = Find(key);
  if (value == nullptr) return nullptr;
  if (!value->is_array() || value->size() > most) {
    Expected(key, "a list of at most " + std::to_string(most));
    return nullptr;
  }
  return value;
}

std::vector<std::string> JsonObject::Texts(std::string_view key, size_t most) {
  std::vector<std::string> texts;
  const nlohmann::json* array = Array(key, most);
  if (array == nullptr) return texts;
  for (const nlohmann::json& value : *array) {
    if (!value.is_string()) {
      Expected(key, "a list of strings");
      return {};
    }
    texts.push_back(value.get<std::string>());
  }
  return texts;
}

std::vector<std::pair<std::string, std::string>> JsonObject::TextPairs(std::string_view key,
                                                                       size_t most) {
  std::vector<std::pair<std::string, std::string>> pairs;
  const nlohmann::json* value = Find(key);
  if (value == nullptr) return pairs;
  if (!value->is_object() || value->size() > most) {
    Expected(key, "an object of at most " + std::to_string(most) + " strings");
    return pairs;
  }
  for (const auto& [name, text] : value->items()) {
    if (!text.is_string()) {
      Expected(key, "an object of strings");
      return {};
    }
    pairs.emplace_back(name, text.get<std::string>());
  }
  return pairs;
}

Status JsonObject::Finish() {
  if (json_.is_object()) {
    for (const auto& [name, value] : json_.items()) {
      if (std::find(known_.begin(), known_.end(), name) == known_.end()) {
        Refuse("\"" + name + "\" is not known here");
      }
    }
  }
  return status();
}

Status JsonObject::status() const {
  if (problem_.empty()) return {};
  return Fail(Fault::kClient, reason_, what_ + ": " + problem_);
}

}  // namespace nearside::origin

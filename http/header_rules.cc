#include "http/header_rules.h"

#include <algorithm>

#include "http/fields.h"
#include "http/rule_lines.h"
#include "http/settable_field.h"
#include "http/site_rules.h"

namespace nearside::http {
namespace {

constexpr std::string_view kTagsField = "surrogate-key";
constexpr size_t kTagBytes = 256;

tl::unexpected<Error> BadField(std::string message) {
  return Fail(Fault::kClient, "bad_rule", std::move(message));
}

std::string_view WithoutSpace(std::string_view text) {
  text.remove_prefix(std::min(text.find_first_not_of(" \t"), text.size()));
  return text.substr(0, text.find_last_not_of(" \t") + 1);
}

auto FindField(HeaderFields& fields, std::string_view name) {
  return std::find_if(fields.begin(), fields.end(),
                      [&](const auto& field) { return field.first == name; });
}

Status CheckField(const std::string& name, std::string_view value) {
  if (!IsToken(name)) {
    return BadField("\"" + name.substr(0, 80) +
                    "\": expected a path that begins with /, or \"Name: value\"");
  }
  if (name == "basic-auth") {
    return BadField("Basic-Auth: passwords are not asked for here, and visitors would read it");
  }
  if (!IsSettableField(name)) return BadField("\"" + name + "\" cannot be set by a site");
  if (value.empty()) return BadField("\"" + name + "\" has no value");
  if (!IsFieldValue(value)) {
    return BadField("the value of \"" + name + "\" has control characters");
  }
  if (name == "content-type" && value.find('/') == std::string_view::npos) {
    return BadField("\"" + std::string(value.substr(0, 80)) +
                    "\" is no content type: expected one like \"text/html; charset=utf-8\"");
  }
  return {};
}

}  // namespace

Result<HeaderRules> HeaderRules::Parse(std::string_view text) {
  HeaderRules rules;
  Status parsed = ForEachRuleLine(text, kHeadersFile, [&](std::string_view line) {
    return line.front() == '/' ? rules.AddPath(line) : rules.AddField(line);
  });
  if (!parsed) return unexpected(std::move(parsed.error()));
  return rules;
}

Status HeaderRules::AddPath(std::string_view line) {
  if (rules_.size() == kHeaderRules) {
    return BadField("there are more than " + std::to_string(kHeaderRules) + " paths");
  }
  if (line.find_first_of(" \t") != std::string_view::npos) {
    return BadField("a path has no spaces (%20), and its fields stand on lines of their own");
  }
  Result<PathPattern> path = PathPattern::Parse(line, PathPattern::Star::kAnywhere);
  if (!path) return unexpected(std::move(path.error()));
  rules_.push_back({std::move(*path), {}, {}});
  return {};
}

Status HeaderRules::AddField(std::string_view line) {
  const size_t colon = std::min(line.find(':'), line.size());
  const std::string name = LowerName(WithoutSpace(line.substr(0, colon)));
  if (colon == line.size()) {
    return BadField("\"" + std::string(line.substr(0, 80)) +
                    "\": expected a path that begins with /, or \"Name: value\"");
  }
  if (rules_.empty()) return BadField("expected a path before the first field");
  const std::string_view value = WithoutSpace(line.substr(colon + 1));
  if (Status good = CheckField(name, value); !good) return good;
  if (name == kTagsField || name == "cache-tag") return AddTags(value);
  HeaderFields& fields = rules_.back().fields;
  const auto there = FindField(fields, name);
  if (there != fields.end() && name == "content-type") {
    return BadField("\"content-type\" has one value");
  }
  if (there != fields.end()) {
    there->second.append(", ").append(value);
    return {};
  }
  if (fields.size() == kHeaderRuleFields) {
    return BadField("a path has at most " + std::to_string(kHeaderRuleFields) + " fields");
  }
  fields.emplace_back(name, value);
  return {};
}

Status HeaderRules::AddTags(std::string_view value) {
  constexpr std::string_view kBetween = " ,\t";
  while (true) {
    value.remove_prefix(std::min(value.find_first_not_of(kBetween), value.size()));
    if (value.empty()) return {};
    const std::string_view tag = value.substr(0, value.find_first_of(kBetween));
    if (tag.size() > kTagBytes) {
      return BadField("a tag has at most " + std::to_string(kTagBytes) + " bytes");
    }
    if (tags_ == kHeaderRuleTags) {
      return BadField("there are more than " + std::to_string(kHeaderRuleTags) +
                      " tags in the file");
    }
    ++tags_;
    rules_.back().tags.emplace_back(tag);
    value.remove_prefix(tag.size());
  }
}

HeaderFields HeaderRules::FieldsOf(std::string_view path) const {
  HeaderFields merged;
  std::vector<std::string> tags;
  for (const Rule& rule : rules_) {
    if (!rule.path.Match(path)) continue;
    for (const auto& [name, value] : rule.fields) {
      const auto there = FindField(merged, name);
      if (there == merged.end()) {
        merged.emplace_back(name, value);
      } else {
        there->second = value;
      }
    }
    for (const std::string& tag : rule.tags) {
      if (std::find(tags.begin(), tags.end(), tag) == tags.end()) tags.push_back(tag);
    }
  }
  std::string joined;
  for (const std::string& tag : tags) joined += (joined.empty() ? "" : " ") + tag;
  if (!joined.empty()) merged.emplace_back(kTagsField, std::move(joined));
  return merged;
}

}  // namespace nearside::http

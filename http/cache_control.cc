#include "http/cache_control.h"

#include <algorithm>
#include <array>

#include "http/characters.h"
#include "http/field_list.h"
#include "http/structured_field.h"

namespace nearside::http {

namespace {

struct FlagRow {
  std::string_view name;
  bool CacheControl::*flag;
};
constexpr std::array kFlags = {
    FlagRow{"immutable", &CacheControl::immutable},
    FlagRow{"must-revalidate", &CacheControl::must_revalidate},
    FlagRow{"must-understand", &CacheControl::must_understand},
    FlagRow{"no-store", &CacheControl::no_store},
    FlagRow{"no-transform", &CacheControl::no_transform},
    FlagRow{"only-if-cached", &CacheControl::only_if_cached},
    FlagRow{"proxy-revalidate", &CacheControl::proxy_revalidate},
    FlagRow{"public", &CacheControl::is_public},
};

/// What a missing or bad argument means, and which of two counts.
enum class Reading {
  kLifetime,   // bad or missing: 0; the shorter
  kAllowance,  // bad or missing: absent; the shorter
  kTolerance,  // bad: absent; missing: any; the shorter
  kDemand,     // bad or missing: absent; the longer
};
struct DeltaRow {
  std::string_view name;
  std::optional<seconds> CacheControl::*delta;
  Reading reading;
};
constexpr std::array kDeltas = {
    DeltaRow{"max-age", &CacheControl::max_age, Reading::kLifetime},
    DeltaRow{"max-stale", &CacheControl::max_stale, Reading::kTolerance},
    DeltaRow{"min-fresh", &CacheControl::min_fresh, Reading::kDemand},
    DeltaRow{"s-maxage", &CacheControl::s_maxage, Reading::kLifetime},
    DeltaRow{"stale-if-error", &CacheControl::stale_if_error, Reading::kAllowance},
    DeltaRow{"stale-while-revalidate", &CacheControl::stale_while_revalidate, Reading::kAllowance},
};

struct NamesRow {
  std::string_view name;
  bool CacheControl::*flag;
  std::vector<std::string> CacheControl::*names;
};
constexpr std::array kNames = {
    NamesRow{"no-cache", &CacheControl::no_cache, &CacheControl::no_cache_fields},
    NamesRow{"private", &CacheControl::is_private, &CacheControl::private_fields},
};

/// Stands for an argument that no directive takes: neither digits nor a name.
constexpr const char* kNoArgumentOfAny = "?";

template <typename Rows>
auto Find(const Rows& rows, std::string_view name) -> decltype(rows.data()) {
  for (const auto& row : rows) {
    if (row.name == name) return &row;
  }
  return nullptr;
}

std::optional<seconds> ReadDelta(Reading reading, const std::optional<std::string>& argument) {
  if (!argument && reading == Reading::kTolerance) return kLongestDelta;
  const std::optional<seconds> delta = argument ? ParseDeltaSeconds(*argument) : std::nullopt;
  if (!delta && reading == Reading::kLifetime) return seconds(0);
  return delta;
}

void ApplyDelta(const DeltaRow& row, const std::optional<std::string>& argument,
                CacheControl* out) {
  const std::optional<seconds> delta = ReadDelta(row.reading, argument);
  std::optional<seconds>& held = out->*row.delta;
  if (!delta) return;
  if (!held) {
    held = delta;
  } else {
    held = row.reading == Reading::kDemand ? std::max(*held, *delta) : std::min(*held, *delta);
  }
}

void ApplyNames(const NamesRow& row, const std::optional<std::string>& argument,
                CacheControl* out) {
  std::vector<std::string>& names = out->*row.names;
  const size_t before = names.size();
  bool only_names = true;
  ListReader members(argument ? std::string_view(*argument) : std::string_view());
  while (const auto member = members.Next()) {
    if (IsToken(*member)) {
      names.push_back(LowerName(*member));
    } else {
      only_names = false;
    }
  }
  // Nothing named, or something that is no name: the whole response is meant.
  if (names.size() == before || !only_names) out->*row.flag = true;
}

/// `name` in lower case.
void Apply(std::string_view name, std::optional<std::string>&& argument, CacheControl* out) {
  if (const FlagRow* flag = Find(kFlags, name)) {
    out->*flag->flag = true;
  } else if (const DeltaRow* delta = Find(kDeltas, name)) {
    ApplyDelta(*delta, argument, out);
  } else if (const NamesRow* names = Find(kNames, name)) {
    ApplyNames(*names, argument, out);
  } else {
    out->extensions.emplace_back(name, std::move(argument));
  }
}

void ApplyAll(std::string_view value, CacheControl* out) {
  ListReader members(value);
  while (const auto member = members.Next()) {
    const size_t equals = member->find('=');
    const std::string_view raw_name = member->substr(0, equals);
    const std::string name = LowerName(TrimSpace(raw_name));
    if (name.empty()) continue;
    std::optional<std::string> argument;
    if (equals != std::string_view::npos) {
      const std::string_view raw = member->substr(equals + 1);
      argument = UnquoteIfQuoted(TrimSpace(raw));
      // The grammar has no space around "=": such an argument is read by others as none or another
      // one.
      const bool spaced = TrimSpace(raw).size() != raw.size() || name.size() != raw_name.size();
      if (spaced && Find(kDeltas, name) != nullptr) argument = kNoArgumentOfAny;
    }
    Apply(name, std::move(argument), out);
  }
}

/// RFC 9213 §2.1: values of another type than the directive's argument are not to be used.
bool HasTypeOf(std::string_view directive, const structured::BareItem& value) {
  if (std::holds_alternative<bool>(value)) return true;
  if (Find(kDeltas, directive) != nullptr) return std::holds_alternative<int64_t>(value);
  if (Find(kNames, directive) != nullptr) return std::holds_alternative<std::string>(value);
  return true;
}

/// A dictionary member as the argument it would be in Cache-Control.
std::optional<std::string> ArgumentOf(const structured::BareItem& value) {
  if (std::holds_alternative<bool>(value)) return std::nullopt;
  if (const auto* number = std::get_if<int64_t>(&value)) return std::to_string(*number);
  if (const auto* text = std::get_if<std::string>(&value)) return *text;
  if (const auto* token = std::get_if<structured::Token>(&value)) return token->text;
  return kNoArgumentOfAny;
}

}  // namespace

std::optional<seconds> ParseDeltaSeconds(std::string_view text) {
  if (text.empty()) return std::nullopt;
  int64_t value = 0;
  for (char c : text) {
    if (!IsDigit(c)) return std::nullopt;
    value = std::min<int64_t>(value * 10 + (c - '0'), kLongestDelta.count());
  }
  return seconds(value);
}

CacheControl ParseCacheControl(std::string_view value) {
  CacheControl control;
  ApplyAll(value, &control);
  return control;
}

CacheControl ParseCacheControl(const Fields& fields) {
  CacheControl control;
  for (const FieldLine& line : fields.lines()) {
    if (line.name == "cache-control") ApplyAll(line.value, &control);
  }
  return control;
}

bool HasDirective(const Fields& fields, std::string_view directive) {
  for (const FieldLine& line : fields.lines()) {
    if (line.name != "cache-control") continue;
    ListReader members(line.value);
    while (const auto member = members.Next()) {
      if (EqualsIgnoringCase(TrimSpace(member->substr(0, member->find('='))), directive))
        return true;
    }
  }
  return false;
}

std::optional<CacheControl> ParseTargetedCacheControl(const Fields& fields, std::string_view name) {
  if (!fields.Has(name)) return std::nullopt;
  const auto dictionary = structured::ParseDictionary(fields.Joined(name));
  if (!dictionary || dictionary->empty()) return std::nullopt;
  CacheControl control;
  for (const auto& [key, member] : *dictionary) {
    const auto* item = std::get_if<structured::Item>(&member);
    if (item != nullptr && item->value == structured::BareItem(false)) continue;
    const bool sound = item != nullptr && HasTypeOf(key, item->value);
    Apply(key, sound ? ArgumentOf(item->value) : std::optional<std::string>(kNoArgumentOfAny),
          &control);
  }
  return control;
}

}  // namespace nearside::http

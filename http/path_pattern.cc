#include "http/path_pattern.h"

#include <algorithm>
#include <cstdint>

#include "http/uri.h"

namespace nearside::http {
namespace {

constexpr std::string_view kSplat = "splat";
constexpr size_t kPlaceholders = 20;

tl::unexpected<Error> BadPattern(std::string message) {
  return Fail(Fault::kClient, "bad_rule", std::move(message));
}

bool IsNameCharacter(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

/// Without the slash at its end, which says nothing here; "/" stays.
std::string_view WithoutEndSlash(std::string_view path) {
  return path.size() > 1 && path.ends_with('/') ? path.substr(0, path.size() - 1) : path;
}

}  // namespace

std::string_view PlaceholderName(std::string_view text) {
  size_t length = 0;
  while (length < text.size() && IsNameCharacter(text[length])) ++length;
  return text.substr(0, length);
}

Result<PathPattern> PathPattern::Parse(std::string_view text, Star star) {
  if (!text.starts_with('/')) return BadPattern("expected a path that begins with /");
  if (text.find("//") != std::string_view::npos) {
    return BadPattern("a path with // is never asked for");
  }
  if (text.find_first_of("?#") != std::string_view::npos) {
    return BadPattern("a path ends before ? and #: rules are chosen by the path alone");
  }
  PathPattern pattern;
  pattern.pieces_.push_back({"/", false});
  std::string_view rest = text.substr(1);
  if (rest.ends_with('/')) rest.remove_suffix(1);
  while (!rest.empty()) {
    const std::string_view segment = rest.substr(0, rest.find('/'));
    if (Status added = pattern.AddSegment(segment, star); !added) {
      return unexpected(std::move(added.error()));
    }
    rest.remove_prefix(segment.size());
    if (rest.empty()) break;
    if (Status added = pattern.AddText("/"); !added) return unexpected(std::move(added.error()));
    rest.remove_prefix(1);
  }
  return pattern;
}

Status PathPattern::AddSegment(std::string_view segment, Star star) {
  if (has_star_ && star == Star::kAtEnd) {
    return BadPattern("* stands alone, as the last segment: \"/docs/*\"");
  }
  if (segment == "." || segment == "..")
    return BadPattern("a path with . or .. is never asked for");
  if (segment.starts_with(':')) {
    const std::string_view name = segment.substr(1);
    if (has_star_) return BadPattern("behind * nothing but text may stand");
    if (name.empty() || PlaceholderName(name) != name || name == kSplat) {
      return BadPattern("\"" + std::string(segment) +
                        "\" is no placeholder: expected \":name\" of letters, digits and _ as a "
                        "whole segment; a colon that is meant is written %3A");
    }
    if (Has(name)) return BadPattern(std::string(segment) + " stands there twice");
    if (pieces_.size() > 2 * kPlaceholders) return BadPattern("there are too many placeholders");
    pieces_.push_back({std::string(name), true});
    return {};
  }
  const size_t at = segment.find('*');
  if (at == std::string_view::npos) return AddText(segment);
  if (has_star_ || segment.find('*', at + 1) != std::string_view::npos) {
    return BadPattern("one * at most may stand in a path");
  }
  if (star == Star::kAtEnd && segment != "*") {
    return BadPattern("* stands alone, as the last segment: \"/docs/*\"");
  }
  if (Status added = AddText(segment.substr(0, at)); !added) return added;
  has_star_ = true;
  return AddText(segment.substr(at + 1));
}

Status PathPattern::AddText(std::string_view encoded) {
  const std::optional<std::string> text = PercentDecode(encoded);
  if (!text) return BadPattern("there is a % without two hexadecimal digits");
  const bool never = std::any_of(text->begin(), text->end(), [](char c) {
    const auto byte = static_cast<uint8_t>(c);
    return byte < 0x20 || byte == 0x7f || c == '\\';
  });
  if (never) return BadPattern("a path with control characters or \\ is never asked for");
  if (has_star_) {
    behind_star_ += *text;
  } else if (pieces_.back().placeholder) {
    pieces_.push_back({*text, false});
  } else {
    pieces_.back().text += *text;
  }
  return {};
}

bool PathPattern::Has(std::string_view name) const {
  if (has_star_ && name == kSplat) return true;
  return std::any_of(pieces_.begin(), pieces_.end(),
                     [&](const Piece& piece) { return piece.placeholder && piece.text == name; });
}

std::optional<Captures> PathPattern::Match(std::string_view path) const {
  if (!has_star_) return MatchWhole(WithoutEndSlash(path));
  std::optional<Captures> captures = MatchWhole(path);
  // "/docs/*" means the folder too, however it is written.
  if (captures || !behind_star_.empty() || path.ends_with('/')) return captures;
  return MatchWhole(std::string(path) + "/");
}

std::optional<Captures> PathPattern::MatchWhole(std::string_view path) const {
  Captures captures;
  for (const Piece& piece : pieces_) {
    if (!piece.placeholder) {
      if (!path.starts_with(piece.text)) return std::nullopt;
      path.remove_prefix(piece.text.size());
      continue;
    }
    const std::string_view segment = path.substr(0, path.find('/'));
    if (segment.empty()) return std::nullopt;
    captures.push_back({piece.text, std::string(segment)});
    path.remove_prefix(segment.size());
  }
  if (!has_star_) return path.empty() ? std::optional(std::move(captures)) : std::nullopt;
  if (!path.ends_with(behind_star_)) return std::nullopt;
  captures.push_back(
      {std::string(kSplat), std::string(path.substr(0, path.size() - behind_star_.size()))});
  return captures;
}

}  // namespace nearside::http

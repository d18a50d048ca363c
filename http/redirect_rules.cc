#include "http/redirect_rules.h"

#include <algorithm>
#include <array>
#include <cstdint>

#include "http/rule_lines.h"
#include "http/site_rules.h"
#include "http/uri.h"

namespace nearside::http {
namespace {

/// Redirects, and those that serve a page of the site.
constexpr std::array<int, 8> kStatuses = {301, 302, 303, 307, 308, 200, 404, 410};
/// What stands unencoded in a path: what browsers leave alone, but "?" and "#".
constexpr std::string_view kPlainInPath = "/!$&'()*+,;=:@[]|";
/// What is encoded of what the file's owner has written; "%" is his own encoding.
constexpr std::string_view kEncodedOfTarget = "\"<>\\^`{}";

tl::unexpected<Error> BadRule(std::string message) {
  return Fail(Fault::kClient, "bad_rule", std::move(message));
}

bool IsRedirect(int status) { return status / 100 == 3; }

bool IsAbsolute(std::string_view target) {
  return target.starts_with("https://") || target.starts_with("http://");
}

std::string EncodeTarget(std::string_view text) {
  std::string encoded;
  for (const char c : text) {
    const auto byte = static_cast<uint8_t>(c);
    const bool plain =
        byte > 0x20 && byte < 0x7f && kEncodedOfTarget.find(c) == std::string_view::npos;
    encoded += plain ? std::string(1, c) : PercentEncode(std::string_view(&c, 1));
  }
  return encoded;
}

std::vector<std::string_view> WordsOf(std::string_view line) {
  std::vector<std::string_view> words;
  while (true) {
    line.remove_prefix(std::min(line.find_first_not_of(" \t"), line.size()));
    if (line.empty() || line.front() == '#') return words;
    const std::string_view word = line.substr(0, line.find_first_of(" \t"));
    words.push_back(word);
    line.remove_prefix(word.size());
  }
}

/// "301", "200!".
Status ParseStatus(std::string_view word, int* status, bool* forced) {
  *forced = word.ends_with('!');
  if (*forced) word.remove_suffix(1);
  for (const int known : kStatuses) {
    if (word != std::to_string(known)) continue;
    *status = known;
    return {};
  }
  if (word.find('=') != std::string_view::npos) {
    return BadRule("\"" + std::string(word.substr(0, 80)) +
                   "\": conditions (Country=, Language=, Role=, Cookie=) are not known here");
  }
  return BadRule("\"" + std::string(word.substr(0, 80)) +
                 "\" is no status: expected 301, 302, 303, 307, 308, 200, 404 or 410, with ! "
                 "behind it where the rule stands above a file");
}

Status CheckTarget(std::string_view target) {
  if (target.starts_with("//")) return BadRule("a target begins with one /, or with https://");
  if (target.starts_with('/')) return {};
  if (IsAbsolute(target)) {
    const Result<Uri> uri = SplitUri(target.substr(0, target.find('#')));
    return uri ? Status() : Status(BadRule("the target is no URL: " + uri.error().message));
  }
  if (target.find('=') != std::string_view::npos) {
    return BadRule("\"" + std::string(target.substr(0, 80)) +
                   "\": rules are chosen by the path alone, not by query parameters");
  }
  return BadRule("\"" + std::string(target.substr(0, 80)) +
                 "\" is no target: expected a path that begins with /, or a URL with https://");
}

}  // namespace

Result<RedirectTemplate> RedirectTemplate::Parse(std::string_view text, Form form,
                                                 const PathPattern& from) {
  RedirectTemplate made;
  made.form_ = form;
  // The host is never made of what a visitor sends, and a port is no placeholder.
  const size_t host = IsAbsolute(text) ? text.find("://") + 3 : 0;
  const size_t path = IsAbsolute(text) ? std::min(text.find_first_of("/?#", host), text.size()) : 0;
  made.pieces_.push_back({std::string(text.substr(0, path)), false, false});
  if (Status added = made.AddAll(text.substr(path), from); !added) {
    return unexpected(std::move(added.error()));
  }
  return made;
}

Status RedirectTemplate::AddAll(std::string_view text, const PathPattern& from) {
  const bool page = form_ == Form::kPage;
  if (page && text.find_first_of("?#") != std::string_view::npos) {
    return BadRule("a page is a path alone, without ? and #");
  }
  bool in_query = false;
  while (!text.empty()) {
    const size_t colon = text.find(':');
    const std::string_view plain = text.substr(0, colon);
    in_query = in_query || plain.find_first_of("?#") != std::string_view::npos;
    if (Status added = AddText(plain); !added) return added;
    if (colon == std::string_view::npos) break;
    text.remove_prefix(colon + 1);
    const std::string_view name = PlaceholderName(text);
    if (name.empty() || !from.Has(name)) {
      return BadRule("\":" + std::string(name) +
                     "\" is nothing that the rule's path has; a colon that is meant is written "
                     "%3A");
    }
    pieces_.push_back({std::string(name), true, in_query});
    text.remove_prefix(name.size());
  }
  return {};
}

Status RedirectTemplate::AddText(std::string_view text) {
  if (text.empty()) return {};
  const std::optional<std::string> decoded = PercentDecode(text);
  if (!decoded) return BadRule("there is a % without two hexadecimal digits");
  std::string added = form_ == Form::kPage ? *decoded : EncodeTarget(text);
  if (pieces_.back().captured) {
    pieces_.push_back({std::move(added), false, false});
  } else {
    pieces_.back().text += added;
  }
  return {};
}

std::string RedirectTemplate::Fill(const Captures& captures) const {
  std::string filled;
  for (const Piece& piece : pieces_) {
    if (!piece.captured) {
      filled += piece.text;
      continue;
    }
    const auto found = std::find_if(captures.begin(), captures.end(), [&](const Capture& capture) {
      return capture.name == piece.text;
    });
    if (found == captures.end()) continue;  // Parse has looked: there is one
    filled += form_ == Form::kPage
                  ? found->value
                  : PercentEncode(found->value, piece.in_query ? "/" : kPlainInPath);
  }
  // "/:splat/x" with nothing for the splat must not become "//x": x would be a host.
  const size_t slashes = filled.find_first_not_of('/');
  if (slashes == std::string::npos) return "/";
  return slashes > 1 ? filled.substr(slashes - 1) : filled;
}

Result<RedirectRules::Rule> RedirectRules::ParseLine(std::string_view line) {
  const std::vector<std::string_view> words = WordsOf(line);
  if (words.size() < 2) return BadRule("expected \"FROM TO [STATUS]\"");
  if (Status good = CheckTarget(words[1]); !good) return unexpected(std::move(good.error()));
  if (words.size() > 3) {
    return BadRule("\"" + std::string(words[3].substr(0, 80)) +
                   "\": nothing stands behind the status: rules have no conditions here");
  }
  if (IsAbsolute(words[0])) {
    return BadRule("a rule begins with a path: it holds for every host of the site");
  }
  Rule rule;
  if (words.size() == 3) {
    if (Status good = ParseStatus(words[2], &rule.status, &rule.forced); !good) {
      return unexpected(std::move(good.error()));
    }
  }
  Result<PathPattern> from = PathPattern::Parse(words[0], PathPattern::Star::kAtEnd);
  if (!from) return unexpected(std::move(from.error()));
  rule.from = std::move(*from);
  if (IsAbsolute(words[1]) && !IsRedirect(rule.status)) {
    return BadRule("a page of " + std::to_string(rule.status) +
                   " is one of this site's: other sites are not fetched from here");
  }
  const auto form =
      IsRedirect(rule.status) ? RedirectTemplate::Form::kLocation : RedirectTemplate::Form::kPage;
  Result<RedirectTemplate> to = RedirectTemplate::Parse(words[1], form, rule.from);
  if (!to) return unexpected(std::move(to.error()));
  rule.to = std::move(*to);
  if (IsRedirect(rule.status) && rule.from.is_plain() && words[0] == words[1]) {
    return BadRule("the rule leads to itself");
  }
  return rule;
}

Result<RedirectRules> RedirectRules::Parse(std::string_view text) {
  RedirectRules rules;
  Status parsed = ForEachRuleLine(text, kRedirectsFile, [&](std::string_view line) -> Status {
    if (rules.rules_.size() == kRedirectRules) {
      return BadRule("there are more than " + std::to_string(kRedirectRules) + " rules");
    }
    Result<Rule> rule = ParseLine(line);
    if (!rule) return unexpected(std::move(rule.error()));
    rules.rules_.push_back(std::move(*rule));
    return {};
  });
  if (!parsed) return unexpected(std::move(parsed.error()));
  return rules;
}

std::optional<RedirectTarget> RedirectRules::Apply(const Rule& rule, std::string_view path) {
  const std::optional<Captures> captures = rule.from.Match(path);
  if (!captures) return std::nullopt;
  RedirectTarget target;
  target.status = rule.status;
  (IsRedirect(rule.status) ? target.location : target.page) = rule.to.Fill(*captures);
  return target;
}

std::optional<RedirectTarget> RedirectRules::FindForced(std::string_view path) const {
  for (const Rule& rule : rules_) {
    if (!rule.forced) continue;
    if (std::optional<RedirectTarget> target = Apply(rule, path)) return target;
  }
  return std::nullopt;
}

std::optional<RedirectTarget> RedirectRules::Find(std::string_view path) const {
  for (const Rule& rule : rules_) {
    if (std::optional<RedirectTarget> target = Apply(rule, path)) return target;
  }
  return std::nullopt;
}

bool RedirectRules::MayServe(std::string_view asset) const {
  return std::any_of(rules_.begin(), rules_.end(), [&](const Rule& rule) {
    if (IsRedirect(rule.status)) return false;
    return !rule.to.is_plain() || AssetOfPage(rule.to.text()) == asset;
  });
}

}  // namespace nearside::http

#include "origin/tokens.h"

#include <algorithm>

#include "runtime/file.h"

namespace nearside::origin {
namespace {

constexpr size_t kLeastTokenCharacters = 16;
constexpr ByteSize kTokenFile = 64_KiB;

std::string_view Trim(std::string_view line) {
  constexpr std::string_view kSpace = " \t\r";
  const size_t first = line.find_first_not_of(kSpace);
  if (first == std::string_view::npos) return {};
  return line.substr(first, line.find_last_not_of(kSpace) - first + 1);
}

bool IsToken68(std::string_view token) {
  return std::all_of(token.begin(), token.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           std::string_view("-._~+/=").find(c) != std::string_view::npos;
  });
}

std::string_view AsText(const Sha256Digest& digest) {
  return {reinterpret_cast<const char*>(digest.data()), digest.size()};
}

}  // namespace

Result<Tokens> Tokens::Load(const std::string& admin_file, const std::string& fleet_file) {
  Tokens tokens;
  if (Status read = tokens.Read(admin_file, Scope::kAdmin); !read) {
    return unexpected(std::move(read.error()));
  }
  if (!fleet_file.empty()) {
    if (Status read = tokens.Read(fleet_file, Scope::kFleet); !read) {
      return unexpected(std::move(read.error()));
    }
  }
  return tokens;
}

Status Tokens::Read(const std::string& file, Scope scope) {
  const auto bad = [&](const std::string& why) {
    return Fail(Fault::kOperator, "bad_token_file",
                why + ": expected a token of at least " + std::to_string(kLeastTokenCharacters) +
                    " letters and digits, made for example by: openssl rand -hex 32 > " + file);
  };
  Result<std::string> text = ReadFile(file, kTokenFile);
  if (!text) return bad(text.error().message);
  size_t found = 0;
  for (std::string_view rest = *text; !rest.empty();) {
    const size_t end = std::min(rest.find('\n'), rest.size());
    const std::string_view token = Trim(rest.substr(0, end));
    rest.remove_prefix(std::min(end + 1, rest.size()));
    if (token.empty() || token.starts_with('#')) continue;
    if (token.size() < kLeastTokenCharacters || !IsToken68(token)) {
      return bad(file + ": a token is too short, or holds other characters");
    }
    known_.push_back({Sha256Of(token), scope});
    ++found;
  }
  return found > 0 ? Status() : bad(file + ": holds no token");
}

std::string_view BearerOf(const http::Fields& fields) {
  constexpr std::string_view kScheme = "bearer ";
  const std::string_view value = fields.Get("authorization").value_or("");
  if (value.size() <= kScheme.size() ||
      http::LowerName(value.substr(0, kScheme.size())) != kScheme) {
    return {};
  }
  return Trim(value.substr(kScheme.size()));
}

Scope Tokens::ScopeOf(std::string_view token) const {
  if (token.empty()) return Scope::kNone;
  const Sha256Digest offered = Sha256Of(token);
  Scope scope = Scope::kNone;
  for (const Known& known : known_) {
    if (EqualInConstantTime(AsText(known.digest), AsText(offered))) {
      scope = std::max(scope, known.scope);
    }
  }
  return scope;
}

}  // namespace nearside::origin

#include "origin/caller.h"

namespace nearside::origin {
namespace {

std::string Joined(const std::vector<std::string>& words) {
  std::string text;
  for (const std::string& word : words) text += (text.empty() ? "" : ", ") + word;
  return text;
}

std::string Of(std::string_view site) {
  return site.empty() ? "of all sites" : "of site \"" + std::string(site) + "\"";
}

}  // namespace

std::string_view RightName(Right right) {
  switch (right) {
    case Right::kRead:
      return "read";
    case Right::kPublish:
      return "publish";
    case Right::kPurge:
      return "purge";
    case Right::kAdmin:
      return "admin";
  }
  return "";
}

std::optional<Right> ParseRight(std::string_view name) {
  for (const Right right : kEveryRight) {
    if (RightName(right) == name) return right;
  }
  return std::nullopt;
}

std::vector<std::string> Rights::Names() const {
  std::vector<std::string> names;
  for (const Right right : kEveryRight) {
    if ((bits_ & Bit(right)) != 0) names.emplace_back(RightName(right));
  }
  return names;
}

Rights RightsOf(const std::vector<std::string>& names) {
  Rights rights;
  for (const std::string& name : names) {
    if (const std::optional<Right> right = ParseRight(name)) rights.Add(*right);
  }
  return rights;
}

Status Require(const Caller& caller, Right right, std::string_view site) {
  if (caller.May(right, site)) return {};
  const std::string wanted =
      "this needs the scope \"" + std::string(RightName(right)) + "\" " + Of(site);
  if (caller.fleet) {
    return Fail(Fault::kClient, "forbidden",
                wanted +
                    "; the fleet's token does not open it: use the token of auth.token_file, "
                    "or one made by POST /v1/tokens");
  }
  return Fail(Fault::kClient, "forbidden",
              wanted + "; the token \"" + caller.name + "\" has " + Joined(caller.rights.Names()) +
                  " " + Of(caller.site));
}

}  // namespace nearside::origin

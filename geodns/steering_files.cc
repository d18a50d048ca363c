#include "geodns/steering_files.h"

#include <nlohmann/json.hpp>

namespace nearside::geodns {
namespace {

using Json = nlohmann::ordered_json;

tl::unexpected<Error> BadFile() {
  return Fail(Fault::kSelf, "bad_state", "this is no file that nearside-geodns wrote");
}

std::string TextOf(const Json& json) {
  return json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace

std::string OperatorDrainsToText(const OperatorDrains& drains) {
  Json json = Json::object();
  for (const auto& [pop, since] : drains) json[pop] = {{"since_ms", ToUnixMillis(since)}};
  return TextOf(json);
}

Result<OperatorDrains> OperatorDrainsFromText(std::string_view text) {
  Json json = Json::parse(text, nullptr, false);
  if (!json.is_object()) return BadFile();
  OperatorDrains drains;
  for (const auto& [pop, item] : json.items()) {
    bool whole =
        item.is_object() && item.contains("since_ms") && item["since_ms"].is_number_integer();
    if (!whole) return BadFile();
    drains[pop] = FromUnixMillis(item["since_ms"].get<int64_t>());
  }
  return drains;
}

std::string SharesToText(const SharesByName& shares) {
  Json json = Json::object();
  for (const auto& [pop, share] : shares) json[pop] = {{"share", share}};
  return TextOf(json);
}

Result<SharesByName> SharesFromText(std::string_view text) {
  Json json = Json::parse(text, nullptr, false);
  if (!json.is_object()) return BadFile();
  SharesByName shares;
  for (const auto& [pop, item] : json.items()) {
    if (!item.is_object() || !item.contains("share") || !item["share"].is_number()) {
      return BadFile();
    }
    double share = item["share"].get<double>();
    if (!(share > 0 && share <= 1)) return BadFile();
    shares[pop] = share;
  }
  return shares;
}

}  // namespace nearside::geodns

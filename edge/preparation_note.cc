#include "edge/preparation_note.h"

#include <nlohmann/json.hpp>
#include <utility>

#include "edge/json_member.h"

namespace nearside::edge {
namespace {

/// False: it is not there, or no number.
bool ReadNumber(const nlohmann::json& json, const char* name, uint64_t* number) {
  const auto member = json.find(name);
  if (member == json.end() || !member->is_number_unsigned()) return false;
  *number = member->get<uint64_t>();
  return true;
}

std::optional<PreparationNote::Content> ParseContent(const nlohmann::json& json) {
  if (!json.is_object()) return std::nullopt;
  PreparationNote::Content content{.sha256 = TextMember(json, "sha256"),
                                   .etag = TextMember(json, "etag"),
                                   .paths = TextsMember(json, "paths")};
  const bool good = !content.sha256.empty() && !content.etag.empty();
  if (!good || !ReadNumber(json, "bytes", &content.bytes)) return std::nullopt;
  return content;
}

}  // namespace

std::string FormatPreparationNote(const PreparationNote& note) {
  const PreparedState& state = note.state;
  nlohmann::json json = {{"epoch", state.position.epoch},
                         {"seq", state.position.sequence},
                         {"release", state.release},
                         {"state", state.state},
                         {"of", state.of},
                         {"held", state.held},
                         {"bytes", state.bytes},
                         {"ms", static_cast<uint64_t>(state.took.count())},
                         {"why", state.why},
                         {"contents", nlohmann::json::array()}};
  for (const PreparationNote::Content& content : note.contents) {
    json["contents"].push_back({{"sha256", content.sha256},
                                {"etag", content.etag},
                                {"bytes", content.bytes},
                                {"paths", content.paths}});
  }
  return json.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

std::optional<PreparationNote> ParsePreparationNote(std::string_view text) {
  const auto json = nlohmann::json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!json.is_object()) return std::nullopt;
  PreparationNote note;
  PreparedState& state = note.state;
  state.release = TextMember(json, "release");
  state.state = TextMember(json, "state");
  state.why = TextMember(json, "why");
  uint64_t took_ms = 0;
  const bool whole = ReadNumber(json, "epoch", &state.position.epoch) &&
                     ReadNumber(json, "seq", &state.position.sequence) &&
                     ReadNumber(json, "of", &state.of) && ReadNumber(json, "held", &state.held) &&
                     ReadNumber(json, "bytes", &state.bytes) && ReadNumber(json, "ms", &took_ms);
  const auto contents = json.find("contents");
  if (!whole || contents == json.end() || !contents->is_array()) return std::nullopt;
  state.took = milliseconds(static_cast<int64_t>(took_ms));
  for (const nlohmann::json& row : *contents) {
    std::optional<PreparationNote::Content> content = ParseContent(row);
    if (!content) return std::nullopt;
    note.contents.push_back(std::move(*content));
  }
  return note;
}

}  // namespace nearside::edge

#include "geodns/admin_steering.h"

#include <charconv>
#include <cmath>
#include <nlohmann/json.hpp>

#include "http/uri.h"
#include "runtime/log.h"

namespace nearside::geodns {
namespace {

using Json = nlohmann::ordered_json;
using Pairs = std::vector<std::pair<std::string, std::string>>;

constexpr size_t kMostPairs = 1000;

/// The keys and values of a query, percent-decoded; what cannot be decoded is left out.
Pairs PairsOf(std::string_view query) {
  Pairs pairs;
  while (!query.empty() && pairs.size() < kMostPairs) {
    const std::string_view pair = query.substr(0, query.find('&'));
    query.remove_prefix(std::min(query.size(), pair.size() + 1));
    const size_t equals = std::min(pair.find('='), pair.size());
    auto value = http::PercentDecode(pair.substr(std::min(equals + 1, pair.size())));
    if (value) pairs.emplace_back(pair.substr(0, equals), *value);
  }
  return pairs;
}

std::vector<std::string> SplitAtCommas(std::string_view text) {
  std::vector<std::string> parts;
  while (!text.empty()) {
    const std::string_view part = text.substr(0, text.find(','));
    text.remove_prefix(std::min(text.size(), part.size() + 1));
    if (!part.empty()) parts.emplace_back(part);
  }
  return parts;
}

int StatusFor(const Error& error) {
  if (error.fault == Fault::kSelf) return 500;
  return error.reason == "no_such_pop" || error.reason == "no_such_name" ? 404 : 422;
}

void SetDrained(const SteeringRoutes& routes, const std::string& query, bool drained,
                const PostAnswer& answer) {
  std::string pop;
  for (const auto& [key, value] : PairsOf(query)) {
    if (key == "pop") pop = value;
  }
  if (pop.empty()) return answer(400, ErrorJson("expected ?pop=NAME"));
  if (auto why = routes.refuses(); !why.empty()) return answer(503, ErrorJson(std::string(why)));
  auto changed = routes.state.SetDrained(pop, drained, WallNow());
  if (!changed) return answer(StatusFor(changed.error()), ErrorJson(changed.error().message));
  if (*changed) {
    Log(Level::kInfo, drained ? "drained_by_operator" : "undrained_by_operator", {{"pop", pop}});
    routes.publish();
  }
  const Configuration& configuration = *routes.world().configuration;
  const Moment moment = routes.moment();
  size_t up = 0;
  for (size_t i = 0; i < configuration.pops.size(); ++i) {
    const auto& check = configuration.pops[i].check;
    bool is_up = !check || moment.targets[*check].state() == PopState::kUp;
    up += is_up && !moment.is_drained(i) ? 1 : 0;
  }
  const Json json = {{"pop", pop},
                     {"drained", drained},
                     {"changed", *changed},
                     {"outlives_restart", routes.state.outlives_process()},
                     {"still_up", up}};
  answer(200, json.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n");
}

Result<SimulationQuestion> QuestionOf(std::string_view query) {
  SimulationQuestion question;
  for (const auto& [key, value] : PairsOf(query)) {
    if (key == "name") question.name = value;
    if (key == "without") question.without = SplitAtCommas(value);
    if (key != "load") continue;
    for (const std::string& part : SplitAtCommas(value)) {
      const size_t colon = std::min(part.rfind(':'), part.size());
      const std::string text = part.substr(std::min(colon + 1, part.size()));
      double load = -1;
      auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), load);
      bool is_load = error == std::errc() && end == text.data() + text.size() && load >= 0;
      if (!is_load || !std::isfinite(load)) {
        return Fail(Fault::kClient, "bad_load", "expected load=NAME:1.2, got \"" + part + "\"");
      }
      question.loads.emplace_back(part.substr(0, colon), load);
    }
  }
  return question;
}

}  // namespace

std::vector<PostRoute> SteeringRoutes::Posts() const {
  auto route = [this](std::string path, bool drained) {
    return PostRoute{std::move(path), [this, drained](const std::string& query, PostAnswer answer) {
                       SetDrained(*this, query, drained, answer);
                     }};
  };
  return {route("/drain", true), route("/undrain", false)};
}

std::vector<PostRoute> SteeringRoutes::Gets() const {
  return {{"/steer", [this](const std::string& query, PostAnswer answer) {
             auto question = QuestionOf(query);
             if (!question) return answer(400, ErrorJson(question.error().message));
             bool taken =
                 desk.Ask(world(), snapshot(), moment(), std::move(*question),
                          [answer](Result<std::string> json) {
                            if (json) return answer(200, *json);
                            answer(StatusFor(json.error()), ErrorJson(json.error().message));
                          });
             if (!taken) answer(503, ErrorJson("another question is being worked out; ask again"));
           }}};
}

}  // namespace nearside::geodns

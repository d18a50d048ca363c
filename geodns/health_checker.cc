#include "geodns/health_checker.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <nlohmann/json.hpp>

#include "http/session/health_check.h"
#include "net/tls.h"
#include "runtime/daemon.h"

namespace nearside::geodns {
namespace {

/// A number of 0 or more that a field tells.
std::optional<double> NumberFrom(const http::Fields& fields, std::string_view name) {
  auto text = fields.Get(name);
  if (!text) return {};
  double number = 0;
  auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), number);
  bool is_number = error == std::errc() && end == text->data() + text->size() && number >= 0;
  if (!is_number || !std::isfinite(number)) return {};
  return number;
}

bool IsExpected(const CheckPlan& plan, int status) {
  if (plan.expect_status.empty()) return status >= 200 && status < 400;
  return std::ranges::find(plan.expect_status, status) != plan.expect_status.end();
}

CheckResult ResultOf(const CheckPlan& plan, const http::HealthAnswer& answer) {
  CheckResult result{.took = answer.took, .error = answer.error};
  if (!answer.head) return result;
  result.success = true;
  if (plan.is_tcp) return result;
  if (!IsExpected(plan, answer.head->status)) {
    result.success = false;
    result.error = "status " + std::to_string(answer.head->status);
  } else if (answer.body.find(plan.expect_body) == std::string::npos) {
    result.success = false;
    result.error = "\"" + plan.expect_body + "\" is not in the first " +
                   std::to_string(answer.body.size()) + " bytes of the body";
  }
  const http::Fields& fields = answer.head->fields;
  result.drained = fields.Get("nearside-drain") == "1";
  result.load = NumberFrom(fields, "nearside-load");
  result.lag = NumberFrom(fields, "nearside-lag");
  if (result.lag && plan.most_lag > milliseconds(0)) {
    result.lagging = *result.lag * 1000 > static_cast<double>(plan.most_lag.count());
  }
  return result;
}

}  // namespace

/// The checks of one target.
class HealthChecker::Probe {
 public:
  Probe(HealthChecker& checker, CheckPlan its_plan, TargetHealth known)
      : plan(std::move(its_plan)),
        health(std::move(known)),
        rise_and_fall(plan.rise, plan.fall),
        check_(checker.loop_, checker.resolver_,
               [this, &checker](const http::HealthAnswer& answer) {
                 checker.OnChecked(*this, ResultOf(plan, answer));
               }) {}

  /// Whether results under `other` go on where those under `plan` have come to.
  bool GoesOnAs(const CheckPlan& other) const {
    return plan.target == other.target && plan.url == other.url &&
           plan.interval == other.interval && plan.rise == other.rise && plan.fall == other.fall;
  }
  /// From the next check on; one that is under way ends as it began.
  void Use(size_t its_number, const CheckPlan& its_plan, std::shared_ptr<http::Client> client) {
    number = its_number;
    plan = its_plan;
    check_.Use({.endpoint = plan.endpoint,
                .authority = plan.authority,
                .target = plan.path,
                .user_agent = "nearside-geodns/" + std::string(Version()),
                .body_bytes = plan.expect_body.empty() ? 0 : kCheckedBodyBytes,
                .connects_only = plan.is_tcp,
                .interval = plan.interval,
                .timeout = plan.timeout},
               std::move(client));
  }
  void Begin() { check_.Begin(); }

  size_t number = 0;
  CheckPlan plan;
  TargetHealth health;
  RiseAndFall rise_and_fall;

 private:
  http::HealthCheck check_;
};

HealthChecker::HealthChecker(net::EventLoop& loop, net::Resolver& resolver,
                             metrics::Registry& registry, OnChange on_change)
    : loop_(loop), resolver_(resolver), on_change_(std::move(on_change)) {
  constexpr std::string_view kName = "nearside_dns_checks_total";
  constexpr std::string_view kHelp = "Health checks finished.";
  succeeded_ = registry.Counter(kName, kHelp, {{"result", "success"}});
  failed_ = registry.Counter(kName, kHelp, {{"result", "failure"}});
  seconds_ = registry.Histogram("nearside_dns_check_seconds", "Time that a health check took.",
                                {0.01, 0.03, 0.1, 0.3, 1, 3, 10});
  cells_ = registry.MakeCells();
}

HealthChecker::~HealthChecker() = default;

Result<std::shared_ptr<http::Client>> HealthChecker::ClientFor(const CheckPlan& plan) {
  const auto authority = plan.endpoint.tls ? std::optional(plan.ca) : std::nullopt;
  auto& client = clients_[authority];
  if (client == nullptr) {
    std::shared_ptr<net::TlsClient> tls;
    if (authority) {
      auto made = net::TlsClient::Create(*authority, {"http/1.1"});
      if (!made) return plan.where.Refuse("ca", made.error());
      tls = std::move(*made);
    }
    client = http::HealthCheck::MakeClient(loop_, resolver_, std::move(tls));
  }
  return client;
}

Status HealthChecker::Start(const std::vector<CheckPlan>& plans, const HealthMemory& memory) {
  std::map<std::string, TargetHealth> known;
  for (const auto& [target, remembered] : memory) {
    // Who was up may have died meanwhile: the first check decides, as if nothing were known. Who
    // was down must prove itself.
    known[target + " " + remembered.url] = {.up = remembered.up,
                                            .drained = remembered.drained,
                                            .known = !remembered.up,
                                            .changed = remembered.changed};
  }
  return SetPlans(plans, std::move(known), TargetHealth());
}

Status HealthChecker::Reload(const std::vector<CheckPlan>& plans) {
  std::map<std::string, TargetHealth> known;
  for (const auto& probe : probes_)
    known[probe->plan.target + " " + probe->plan.url] = probe->health;
  return SetPlans(plans, std::move(known), {.up = false});
}

/// `known`: by target and URL.
Status HealthChecker::SetPlans(const std::vector<CheckPlan>& plans,
                               std::map<std::string, TargetHealth> known,
                               const TargetHealth& unknown) {
  auto old_clients = std::exchange(clients_, {});  // CA files may have been replaced
  std::vector<std::shared_ptr<http::Client>> clients;
  for (const CheckPlan& plan : plans) {
    auto client = ClientFor(plan);
    if (!client) {
      clients_ = std::move(old_clients);
      return tl::unexpected(std::move(client.error()));
    }
    clients.push_back(std::move(*client));
  }
  std::map<std::string, std::unique_ptr<Probe>> old;
  for (auto& probe : probes_) {
    std::string target = probe->plan.target;
    old[target] = std::move(probe);
  }
  probes_.clear();
  for (const CheckPlan& plan : plans) {
    std::unique_ptr<Probe>& probe = probes_.emplace_back();
    if (auto same = old.find(plan.target); same != old.end() && same->second->GoesOnAs(plan)) {
      probe = std::move(same->second);
      old.erase(same);
      probe->Use(probes_.size() - 1, plan, clients[probes_.size() - 1]);
      continue;
    }
    auto health = known.try_emplace(plan.target + " " + plan.url, unknown).first->second;
    probe = std::make_unique<Probe>(*this, plan, std::move(health));
    probe->Use(probes_.size() - 1, plan, clients[probes_.size() - 1]);
    probe->Begin();
  }
  return {};
}

void HealthChecker::OnChecked(Probe& probe, const CheckResult& result) {
  cells_->Add(result.success ? succeeded_ : failed_);
  cells_->Observe(seconds_, static_cast<double>(result.took.count()) / 1000);
  ++checks_done_;
  PopState before = probe.health.state();
  if (TakeResult(result, WallNow(), &probe.rise_and_fall, &probe.health)) {
    on_change_(probe.number, before);
  }
}

std::vector<TargetHealth> HealthChecker::Targets() const {
  std::vector<TargetHealth> targets;
  for (const auto& probe : probes_) targets.push_back(probe->health);
  return targets;
}

HealthMemory HealthChecker::Memory() const {
  HealthMemory memory;
  for (const auto& probe : probes_) {
    if (!probe->health.known) continue;
    const TargetHealth& health = probe->health;
    memory[probe->plan.target] = {probe->plan.url, health.up, health.drained || health.lagging,
                                  health.changed};
  }
  return memory;
}

std::string HealthMemoryToText(const HealthMemory& memory) {
  nlohmann::ordered_json json = nlohmann::ordered_json::object();
  for (const auto& [target, remembered] : memory) {
    json[target] = {{"url", remembered.url},
                    {"up", remembered.up},
                    {"drained", remembered.drained},
                    {"changed_ms", ToUnixMillis(remembered.changed)}};
  }
  using ErrorHandler = nlohmann::ordered_json::error_handler_t;
  return json.dump(2, ' ', false, ErrorHandler::replace) + "\n";
}

Result<HealthMemory> HealthMemoryFromText(std::string_view text) {
  auto bad = [] { return Fail(Fault::kSelf, "bad_state", "this is no file of health states"); };
  auto json = nlohmann::json::parse(text, nullptr, false);
  if (!json.is_object()) return bad();
  HealthMemory memory;
  for (const auto& [target, item] : json.items()) {
    bool whole = item.is_object() && item.contains("url") && item["url"].is_string() &&
                 item.contains("up") && item["up"].is_boolean() && item.contains("drained") &&
                 item["drained"].is_boolean() && item.contains("changed_ms") &&
                 item["changed_ms"].is_number_integer();
    if (!whole) return bad();
    memory[target] = {item["url"].get<std::string>(), item["up"].get<bool>(),
                      item["drained"].get<bool>(),
                      FromUnixMillis(item["changed_ms"].get<int64_t>())};
  }
  return memory;
}

}  // namespace nearside::geodns

#include "geodns/alias_resolver.h"

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>

#include "runtime/log.h"

namespace nearside::geodns {
namespace {

/// Before a look-up that had no room is tried again.
constexpr milliseconds kNoRoomPause{500};
/// Each change of a table is made of all its networks (5 to 10 ms for 16384), and a snapshot for
/// all workers.
constexpr milliseconds kNetworksPause{250};

/// The year 5138: times of the state file are computed with.
constexpr int64_t kMostMillis = 100'000'000'000'000;

using RememberedJson = nlohmann::ordered_json;

/// False for what AliasMemoryToText did not write.
bool ReadRemembered(const RememberedJson& item, RememberedAlias* known) {
  const auto is_number = [&](const char* key, int64_t most) {
    return item.contains(key) && item[key].is_number_unsigned() &&
           item[key].get<uint64_t>() <= static_cast<uint64_t>(most);
  };
  if (!item.is_object() || !item.contains("addresses") || !item["addresses"].is_array() ||
      !is_number("ttl", INT32_MAX) || !is_number("good_until_ms", kMostMillis) ||
      !is_number("resolved_at_ms", kMostMillis)) {
    return false;
  }
  known->ttl = item["ttl"].get<uint32_t>();
  known->good_until = FromUnixMillis(item["good_until_ms"].get<int64_t>());
  known->resolved_at = FromUnixMillis(item["resolved_at_ms"].get<int64_t>());
  for (const RememberedJson& text : item["addresses"]) {
    auto address = text.is_string() ? IpAddress::Parse(text.get<std::string>())
                                    : Result<IpAddress>(Fail(Fault::kSelf, "bad_state", ""));
    if (!address) return false;
    known->addresses.push_back(*address);
  }
  return true;
}

}  // namespace

/// One target: asks for its addresses again and again.
class AliasResolver::Entry {
 public:
  Entry(AliasResolver& owner, Target target, uint32_t number)
      : owner_(owner),
        target_(std::move(target)),
        number_(number),
        learner_(owner.loop_, owner.learning_, number, NameOf(target_)),
        timer_(owner.loop_, [this] { Ask(); }) {
    timer_.Arm(milliseconds(0));
  }
  ~Entry() { owner_.running_ -= lookup_ ? 1 : 0; }

  const AliasState& state() const { return state_; }
  uint32_t number() const { return number_; }
  NetworkLearner& learner() { return learner_; }

  void Recall(const RememberedAlias& known) {
    const auto left =
        std::chrono::duration_cast<milliseconds>(known.good_until - owner_.loop_.wall_now());
    // A clock that was set back must not make it last.
    good_until_ = owner_.loop_.now() +
                  std::min<milliseconds>(left, std::chrono::seconds(owner_.options().most_ttl));
    if (IsTooOld()) return;
    state_.result = {.known = true, .addresses = known.addresses, .ttl = known.ttl};
    state_.resolved_at = known.resolved_at;
  }
  RememberedAlias Memory() const {
    const auto left = std::chrono::duration_cast<milliseconds>(good_until_ - owner_.loop_.now());
    return {state_.result.addresses, state_.result.ttl, owner_.loop_.wall_now() + left,
            state_.resolved_at};
  }

 private:
  void Ask() {
    if (owner_.running_ >= kMostAtOnce) return timer_.Arm(kNoRoomPause);
    ++owner_.running_;
    lookup_ =
        std::make_unique<AliasLookup>(owner_.loop_, owner_.options(), NameOf(target_), std::nullopt,
                                      [this](Result<AliasFound> found) { OnFound(found); });
  }

  void OnFound(Result<AliasFound>& found) {
    lookup_.reset();
    --owner_.running_;
    const AliasResult before = state_.result;
    const bool first = !std::exchange(state_.asked, true);
    if (found) {
      TakeGood(std::move(*found));
    } else {
      TakeFailed(found.error());
    }
    if (first || state_.result != before) owner_.on_change_();
  }

  void TakeGood(AliasFound found) {
    ++owner_.good_;
    const uint32_t half = std::max<uint32_t>(1, found.ttl / 2);
    state_.result = {.known = true, .addresses = std::move(found.addresses), .ttl = half};
    if (state_.stale) {
      Log(Level::kInfo, "alias_resolved", {{"target", NameOf(target_).ToText()}});
    }
    state_.stale = false;
    state_.error.clear();
    state_.resolved_at = WallNow();
    good_until_ = owner_.loop_.now() + std::chrono::seconds(found.ttl);
    timer_.Arm(std::chrono::seconds(half));
  }

  void TakeFailed(const Error& error) {
    ++owner_.failed_;
    const bool told = std::exchange(state_.stale, true);
    state_.error = error.ToString();
    if (state_.result.known && IsTooOld()) {
      state_.result = {};
      Tell(Level::kError, "alias_lost");
    } else if (!told) {
      Tell(Level::kWarning, "alias_not_resolved");
    }
    timer_.Arm(std::chrono::seconds(std::max<uint32_t>(1, owner_.options().least_ttl / 2)));
  }

  bool IsTooOld() const {
    return owner_.loop_.now() > good_until_ + std::chrono::seconds(owner_.options().stale);
  }

  void Tell(Level level, std::string_view event) const {
    Log(level, event, {{"target", NameOf(target_).ToText()}, {"error", state_.error}});
  }

  AliasResolver& owner_;
  const Target target_;
  const uint32_t number_;
  NetworkLearner learner_;
  AliasState state_;
  net::Timer timer_;
  std::unique_ptr<AliasLookup> lookup_;
  MonoTime good_until_{};
};

AliasResolver::AliasResolver(net::EventLoop& loop, std::function<void()> on_change)
    : loop_(loop),
      on_change_(std::move(on_change)),
      networks_changed_(loop, [this] { on_change_(); }) {
  learning_.on_change = [this] {
    if (!networks_changed_.armed()) networks_changed_.Arm(kNetworksPause);
  };
}

AliasResolver::~AliasResolver() = default;

void AliasResolver::Start(AliasOptions options, const std::vector<Target>& targets) {
  learning_.options = std::move(options);
  std::map<Target, std::unique_ptr<Entry>> wanted;
  for (const Target& target : targets) {
    auto& entry = wanted[target];
    if (entry) continue;
    auto known = entries_.find(target);
    if (known != entries_.end()) entry = std::move(known->second);
    if (entry) continue;
    entry = std::make_unique<Entry>(*this, target, ++last_number_);
    auto remembered = remembered_.find(NameOf(target).ToText());
    if (remembered != remembered_.end()) entry->Recall(remembered->second);
  }
  entries_ = std::move(wanted);
  remembered_.clear();
  by_number_.clear();
  for (auto& [target, entry] : entries_) {
    by_number_.emplace(entry->number(), entry.get());
    if (learning_.options.networks == 0) entry->learner().Clear();
  }
}

std::shared_ptr<const AliasNetworks> AliasResolver::NetworksOf(const Target& target) const {
  auto at = entries_.find(target);
  if (at == entries_.end() || learning_.options.networks == 0) return nullptr;
  return at->second->learner().Table();
}

void AliasResolver::Learn(const AliasAsk& ask) {
  auto at = by_number_.find(ask.target);
  if (at != by_number_.end()) at->second->learner().Learn(ask.network, ask.source);
}

AliasMemory AliasResolver::Memory() const {
  AliasMemory memory;
  for (const auto& [target, entry] : entries_) {
    if (entry->state().result.known) memory[NameOf(target).ToText()] = entry->Memory();
  }
  return memory;
}

const AliasState* AliasResolver::Find(const Target& target) const {
  auto at = entries_.find(target);
  return at == entries_.end() ? nullptr : &at->second->state();
}

bool AliasResolver::all_asked() const {
  return std::ranges::all_of(entries_, [](const auto& e) { return e.second->state().asked; });
}

std::string AliasMemoryToText(const AliasMemory& memory) {
  RememberedJson json = RememberedJson::object();
  for (const auto& [target, known] : memory) {
    RememberedJson addresses = RememberedJson::array();
    for (const IpAddress& address : known.addresses) addresses.push_back(address.ToText());
    json[target] = {{"addresses", std::move(addresses)},
                    {"ttl", known.ttl},
                    {"good_until_ms", ToUnixMillis(known.good_until)},
                    {"resolved_at_ms", ToUnixMillis(known.resolved_at)}};
  }
  return json.dump(2, ' ', false, RememberedJson::error_handler_t::replace) + "\n";
}

Result<AliasMemory> AliasMemoryFromText(std::string_view text) {
  const RememberedJson json = RememberedJson::parse(text, nullptr, false);
  AliasMemory memory;
  bool whole = json.is_object();
  for (const auto& [target, item] : json.items()) {
    whole = whole && ReadRemembered(item, &memory[target]);
  }
  if (whole) return memory;
  return Fail(Fault::kSelf, "bad_state", "this is no file that nearside-geodns wrote");
}

}  // namespace nearside::geodns

#include "geodns/alias_resolver.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>

#include "runtime/log.h"

namespace nearside::geodns {
namespace {

/// Before a look-up that had no room is tried again.
constexpr milliseconds kNoRoomPause{500};

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

/// One target: asks for A and AAAA together, and is known when both have an answer.
class AliasResolver::Entry {
 public:
  Entry(AliasResolver& owner, Target target)
      : owner_(owner), target_(std::move(target)), timer_(owner.loop_, [this] { Ask(); }) {
    timer_.Arm(milliseconds(0));
  }
  ~Entry() { owner_.running_ -= running_ ? 1 : 0; }

  const AliasState& state() const { return state_; }

  void Recall(const RememberedAlias& known) {
    const auto left =
        std::chrono::duration_cast<milliseconds>(known.good_until - owner_.loop_.wall_now());
    // A clock that was set back must not make it last.
    good_until_ = owner_.loop_.now() +
                  std::min<milliseconds>(left, std::chrono::seconds(owner_.options_.most_ttl));
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
  struct Lookup {
    std::unique_ptr<StubQuery> query;
    std::optional<Result<dns::AddressReply>> result;
  };

  void Ask() {
    if (owner_.running_ >= kMostAtOnce) return timer_.Arm(kNoRoomPause);
    running_ = true;
    ++owner_.running_;
    const StubQuery::Options options{owner_.options_.resolvers, owner_.options_.timeout};
    for (size_t family = 0; family < lookups_.size(); ++family) {
      Lookup& lookup = lookups_[family];
      lookup.result.reset();
      lookup.query = std::make_unique<StubQuery>(
          owner_.loop_, options, NameOf(target_), family == 0 ? dns::type::kA : dns::type::kAaaa,
          [this, family](Result<dns::AddressReply> result) { OnReply(family, std::move(result)); });
    }
  }

  void OnReply(size_t family, Result<dns::AddressReply> result) {
    lookups_[family].result = std::move(result);
    for (const Lookup& lookup : lookups_) {
      if (!lookup.result) return;
    }
    running_ = false;
    --owner_.running_;
    const AliasResult before = state_.result;
    const bool first = !std::exchange(state_.asked, true);
    const auto failed = std::ranges::find_if(lookups_, [](auto& l) { return !*l.result; });
    if (failed == lookups_.end()) {
      TakeGood();
    } else {
      TakeFailed(failed->result->error());
    }
    if (first || state_.result != before) owner_.on_change_();
  }

  void TakeGood() {
    const AliasOptions& options = owner_.options_;
    ++owner_.good_;
    uint32_t ttl = options.most_ttl;
    // A family that is not there and does not say for how long has no say while the other has.
    const bool nobody_says =
        std::ranges::none_of(lookups_, [](auto& l) { return (**l.result).has_ttl; });
    state_.result.addresses.clear();
    for (size_t family = 0; family < lookups_.size(); ++family) {
      const dns::AddressReply& reply = **lookups_[family].result;
      if (reply.has_ttl || nobody_says) ttl = std::min(ttl, reply.ttl);
      const size_t step = family == 0 ? 4 : 16;
      for (size_t at = 0; at < reply.addresses.size(); at += step) {
        const uint8_t* bytes = reply.addresses.data() + at;
        const IpAddress address = family == 0 ? IpAddress::V4(bytes) : IpAddress::V6(bytes);
        // An IPv4 address mapped into IPv6 is no address of an AAAA record.
        if (address.is_ipv6 == (family == 1)) state_.result.addresses.push_back(address);
      }
    }
    // Resolvers turn their lists round: one order, so that nothing seems changed.
    std::ranges::sort(state_.result.addresses, {}, &IpAddress::ToText);
    ttl = std::max(ttl, options.least_ttl);
    const uint32_t half = std::max<uint32_t>(1, ttl / 2);
    state_.result.known = true;
    state_.result.ttl = half;
    if (state_.stale) {
      Log(Level::kInfo, "alias_resolved", {{"target", NameOf(target_).ToText()}});
    }
    state_.stale = false;
    state_.error.clear();
    state_.resolved_at = WallNow();
    good_until_ = owner_.loop_.now() + std::chrono::seconds(ttl);
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
    timer_.Arm(std::chrono::seconds(std::max<uint32_t>(1, owner_.options_.least_ttl / 2)));
  }

  bool IsTooOld() const {
    return owner_.loop_.now() > good_until_ + std::chrono::seconds(owner_.options_.stale);
  }

  void Tell(Level level, std::string_view event) const {
    Log(level, event, {{"target", NameOf(target_).ToText()}, {"error", state_.error}});
  }

  AliasResolver& owner_;
  const Target target_;
  AliasState state_;
  net::Timer timer_;
  std::array<Lookup, 2> lookups_;  ///< A, AAAA
  MonoTime good_until_{};
  bool running_ = false;
};

AliasResolver::AliasResolver(net::EventLoop& loop, std::function<void()> on_change)
    : loop_(loop), on_change_(std::move(on_change)) {}

AliasResolver::~AliasResolver() = default;

void AliasResolver::Start(AliasOptions options, const std::vector<Target>& targets) {
  options_ = std::move(options);
  std::map<Target, std::unique_ptr<Entry>> wanted;
  for (const Target& target : targets) {
    auto& entry = wanted[target];
    if (entry) continue;
    auto known = entries_.find(target);
    if (known != entries_.end()) entry = std::move(known->second);
    if (entry) continue;
    entry = std::make_unique<Entry>(*this, target);
    auto remembered = remembered_.find(NameOf(target).ToText());
    if (remembered != remembered_.end()) entry->Recall(remembered->second);
  }
  entries_ = std::move(wanted);
  remembered_.clear();
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

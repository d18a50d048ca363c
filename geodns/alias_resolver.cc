#include "geodns/alias_resolver.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <optional>

#include "runtime/log.h"

namespace nearside::geodns {
namespace {

/// Before a look-up that had no room is tried again.
constexpr milliseconds kNoRoomPause{500};

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
    state_.result.addresses.clear();
    for (size_t family = 0; family < lookups_.size(); ++family) {
      const dns::AddressReply& reply = **lookups_[family].result;
      ttl = std::min(ttl, reply.ttl);
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
    const bool too_old =
        owner_.loop_.now() > good_until_ + std::chrono::seconds(owner_.options_.stale);
    if (state_.result.known && too_old) {
      state_.result = {};
      Tell(Level::kError, "alias_lost");
    } else if (!told) {
      Tell(Level::kWarning, "alias_not_resolved");
    }
    timer_.Arm(std::chrono::seconds(std::max<uint32_t>(1, owner_.options_.least_ttl / 2)));
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
    if (!entry) entry = std::make_unique<Entry>(*this, target);
  }
  entries_ = std::move(wanted);
}

const AliasState* AliasResolver::Find(const Target& target) const {
  auto at = entries_.find(target);
  return at == entries_.end() ? nullptr : &at->second->state();
}

bool AliasResolver::all_asked() const {
  return std::ranges::all_of(entries_, [](const auto& e) { return e.second->state().asked; });
}

}  // namespace nearside::geodns

#include "geodns/network_learner.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <optional>
#include <vector>

namespace nearside::geodns {
namespace {

constexpr milliseconds kNoPlacePause{500};
/// One may lie where the owner has nothing better than what all get.
constexpr int kSameNeeded = 3;
/// Owners seldom begin to tell their clients apart, and each look costs two queries.
constexpr milliseconds kAskAgain = std::chrono::hours(1);
/// When the resolver did not say whether they do.
constexpr milliseconds kAskAgainAfterFailure = std::chrono::minutes(1);
/// An answer is given out for as long as it takes to be renewed: whoever kept it asks once in each.
constexpr int kMostIdleRenewals = 2;

dns::ClientSubnet SubnetOf(const Network& network) {
  return {.family = network.address.is_ipv6 ? dns::ClientSubnet::kIpv6 : dns::ClientSubnet::kIpv4,
          .source = network.prefix_bits,
          .address = network.address.bytes};
}

}  // namespace

/// One network: asks again and again for as long as it is wanted.
class NetworkLearner::Own final : public net::Disposable {
 public:
  Own(NetworkLearner& owner, const Network& asked, const Network& source)
      : owner_(owner),
        asked_(asked),
        source_(KeyOf(source)),
        timer_(owner.loop_, [this] { OnTimer(); }) {
    ++owner_.learning_.networks;
    ++owner_.learning_.held[source_];
    Ask();
  }
  ~Own() override { End(); }

  /// Gives its place back. Its last callback may still be on the stack.
  void End() {
    if (std::exchange(ended_, true)) return;
    timer_.Disarm();
    if (lookup_) --owner_.learning_.running;
    lookup_.reset();
    --owner_.learning_.networks;
    const auto held = owner_.learning_.held.find(source_);
    if (--held->second == 0) owner_.learning_.held.erase(held);
  }
  const Network& asked() const { return asked_; }
  const std::optional<AliasNetworks::Answer>& answer() const { return answer_; }
  uint8_t scope() const { return scope_; }

 private:
  enum class Next : uint8_t { kAsk, kRenew, kForget };

  void ArmFor(Next next, milliseconds after) {
    next_ = next;
    timer_.Arm(after);
  }

  void OnTimer() {
    switch (next_) {
      case Next::kAsk:
        return Ask();
      case Next::kRenew:
        return Renew();
      case Next::kForget:
        return owner_.Forget(asked_);
    }
  }

  void Renew() {
    const bool is_wanted = wanted_->exchange(false, std::memory_order_relaxed);
    idle_renewals_ = is_wanted ? 0 : idle_renewals_ + 1;
    if (idle_renewals_ < kMostIdleRenewals) return Ask();
    owner_.Forget(asked_);
  }

  void Ask() {
    Learning& learning = owner_.learning_;
    if (learning.running >= kMostAtOnce) return ArmFor(Next::kAsk, kNoPlacePause);
    ++learning.running;
    lookup_ = std::make_unique<AliasLookup>(owner_.loop_, learning.options, owner_.name_,
                                            SubnetOf(asked_), [this](Result<AliasFound> found) {
                                              lookup_.reset();
                                              --owner_.learning_.running;
                                              if (found) return TakeGood(std::move(*found));
                                              TakeFailed();
                                            });
  }

  void TakeGood(AliasFound found) {
    ++owner_.learning_.good;
    scope_ = found.scope;
    if (!owner_.Judge(asked_.address.is_ipv6)) return;  // all get the same: this is forgotten
    // A scope of 0 where others are told apart says only what this network gets.
    const uint8_t bits = scope_ == 0 ? asked_.prefix_bits : std::min(scope_, asked_.prefix_bits);
    AliasNetworks::Answer answer{.network = Network::Of(asked_.address, bits),
                                 .addresses = std::move(found.addresses),
                                 .ttl = std::max<uint32_t>(1, found.ttl / 2),
                                 .asked = wanted_};
    if (scope_ > asked_.prefix_bits) answer.most_known = asked_.prefix_bits;
    if (owner_.HasAnother(*this, answer)) return owner_.Forget(asked_);
    const bool is_new = !answer_ || answer_->network != answer.network ||
                        answer_->most_known != answer.most_known || answer_->ttl != answer.ttl ||
                        answer_->addresses != answer.addresses;
    const seconds half(answer.ttl);
    answer_ = std::move(answer);
    good_until_ = owner_.loop_.now() + seconds(found.ttl);
    ArmFor(Next::kRenew, half);
    if (is_new) owner_.Changed();
  }

  /// What was known stands to its end; then the answer for all does, which is stale for longer.
  void TakeFailed() {
    ++owner_.learning_.failed;
    const seconds pause(std::max<uint32_t>(1, owner_.learning_.options.least_ttl / 2));
    if (answer_ && owner_.loop_.now() < good_until_) return ArmFor(Next::kAsk, pause);
    if (answer_) owner_.Changed();
    answer_.reset();
    FamilyState& family = owner_.families_[asked_.address.is_ipv6];
    if (!family.is_known || !family.is_tailored) {
      owner_.SetSame(asked_.address.is_ipv6, kAskAgainAfterFailure);
    }
    ArmFor(Next::kForget, pause);  // until then it keeps its next asks from being looked up
  }

  NetworkLearner& owner_;
  const Network asked_;
  const Key source_;
  net::Timer timer_;
  Next next_ = Next::kAsk;
  std::unique_ptr<AliasLookup> lookup_;
  std::optional<AliasNetworks::Answer> answer_;
  const std::shared_ptr<std::atomic<bool>> wanted_ = std::make_shared<std::atomic<bool>>(false);
  int idle_renewals_ = 0;
  uint8_t scope_ = 0;
  MonoTime good_until_;
  bool ended_ = false;
};

NetworkLearner::NetworkLearner(net::EventLoop& loop, Learning& learning, uint32_t target,
                               dns::NameView name)
    : loop_(loop), learning_(learning), target_(target), name_(name), want_again_(loop, [this] {
        WantAgain();
      }) {}

NetworkLearner::~NetworkLearner() = default;

NetworkLearner::Key NetworkLearner::KeyOf(const Network& network) {
  return {network.address.is_ipv6, network.prefix_bits, network.address.bytes};
}

bool Learning::MayAdd(const Key& source) const {
  constexpr size_t kShares = 4;
  if (networks < options.networks / 2) return true;
  const auto at = held.find(source);
  return at == held.end() || at->second < std::max<size_t>(1, options.networks / kShares);
}

void NetworkLearner::Learn(const Network& network, const Network& source) {
  if (own_.contains(KeyOf(network))) return;
  const bool is_ipv6 = network.address.is_ipv6;
  const FamilyState& family = families_[is_ipv6];
  if (!family.wants_asks) return;
  const bool one_by_one = !family.is_known || !family.is_tailored;
  const auto is_under_way = [&](const auto& each) {
    return each.second->asked().address.is_ipv6 == is_ipv6 && !each.second->answer();
  };
  if (one_by_one && std::ranges::any_of(own_, is_under_way)) return;
  if (learning_.networks >= learning_.options.networks || learning_.running >= kMostAtOnce) {
    ++learning_.refused;
    return;
  }
  if (!learning_.MayAdd(KeyOf(source))) {
    ++learning_.over_share;
    return;
  }
  own_.emplace(KeyOf(network), std::make_unique<Own>(*this, network, source));
}

void NetworkLearner::Clear() {
  own_.clear();
  table_.reset();
}

std::shared_ptr<const AliasNetworks> NetworkLearner::Table() {
  if (table_ != nullptr) return table_;
  std::vector<AliasNetworks::Answer> answers;
  for (const auto& [key, own] : own_) {
    if (own->answer()) answers.push_back(*own->answer());
  }
  std::array<AliasNetworks::Family, 2> families;
  for (size_t i = 0; i < families.size(); ++i) {
    families[i] = {families_[i].is_tailored, families_[i].wants_asks};
  }
  table_ =
      std::make_shared<const AliasNetworks>(target_, std::move(answers), families,
                                            std::max<uint32_t>(1, learning_.options.least_ttl / 2));
  return table_;
}

/// After one network was told something: whether clients of its family are told apart, as far as is
/// known. False: they are not (any more), and what was known of them is forgotten.
bool NetworkLearner::Judge(bool is_ipv6) {
  const auto is_told_apart = [&](const auto& each) {
    return each.second->asked().address.is_ipv6 == is_ipv6 && each.second->scope() > 0;
  };
  FamilyState& family = families_[is_ipv6];
  if (std::ranges::none_of(own_, is_told_apart)) {
    if (++family.told_same < kSameNeeded) return true;
    SetSame(is_ipv6, kAskAgain);
    std::vector<Network> forgotten;
    for (const auto& [key, own] : own_) {
      if (own->asked().address.is_ipv6 == is_ipv6) forgotten.push_back(own->asked());
    }
    for (const Network& network : forgotten) Forget(network);
    family.is_known = true;
    return false;
  }
  if (!family.is_known || !family.is_tailored || !family.wants_asks) {
    family = {.is_known = true};
    Changed();
  }
  return true;
}

/// Nobody is asked for before that time.
void NetworkLearner::SetSame(bool is_ipv6, milliseconds ask_again) {
  FamilyState& family = families_[is_ipv6];
  family.is_tailored = false;
  family.wants_asks = false;
  family.told_same = 0;
  family.wants_at = loop_.now() + ask_again;
  WantAgain();
  Changed();
}

void NetworkLearner::WantAgain() {
  std::optional<MonoTime> next;
  for (FamilyState& family : families_) {
    if (family.wants_asks) continue;
    if (loop_.now() >= family.wants_at) {
      family.wants_asks = true;
      Changed();
    } else {
      next = std::min(next.value_or(family.wants_at), family.wants_at);
    }
  }
  if (next) want_again_.Arm(std::chrono::ceil<milliseconds>(*next - loop_.now()));
}

/// Whether another one has what `answer` says already.
bool NetworkLearner::HasAnother(const Own& than, const AliasNetworks::Answer& answer) const {
  return std::ranges::any_of(own_, [&](const auto& each) {
    return each.second.get() != &than && each.second->answer() &&
           each.second->answer()->network == answer.network;
  });
}

void NetworkLearner::Changed() {
  table_.reset();
  learning_.on_change();
}

void NetworkLearner::Forget(const Network& asked) {
  auto at = own_.find(KeyOf(asked));
  if (at->second->answer()) Changed();
  at->second->End();
  loop_.DisposeLater(std::move(at->second));  // which may be who calls this
  own_.erase(at);
}

}  // namespace nearside::geodns

#include "storage/head_index.h"

#include <utility>

namespace nearside::storage {

namespace {

constexpr size_t kStripes = 64;

}  // namespace

struct HeadIndex::Slot::Stripe {
  struct Pending {
    Ticket ticket = 0;
    HeadRef head;  ///< null: a removal
  };
  struct Loading {
    LoadNumber number = 0;
    bool overtaken = false;
    std::vector<Waiter> waiters;
  };
  mutable std::mutex mutex;
  std::unordered_map<Key256, Pending> pending;
  std::unordered_map<Key256, Loading> loading;
  LoadNumber last_load = 0;
};

HeadIndex::Slot::Slot(Stripe& stripe, const Key256& key)
    : stripe_(stripe), key_(key), lock_(stripe.mutex) {}

std::optional<HeadRef> HeadIndex::Slot::pending() const {
  const auto found = stripe_.pending.find(key_);
  if (found == stripe_.pending.end()) return std::nullopt;
  return found->second.head;
}

void HeadIndex::Slot::SetPending(Ticket ticket, HeadRef head_or_null) {
  stripe_.pending[key_] = {.ticket = ticket, .head = std::move(head_or_null)};
  Overtake();
}

void HeadIndex::Slot::FinishPending(Ticket ticket) {
  const auto found = stripe_.pending.find(key_);
  if (found != stripe_.pending.end() && found->second.ticket == ticket) {
    stripe_.pending.erase(found);
  }
}

void HeadIndex::Slot::TurnToRemoval(Ticket ticket) {
  const auto found = stripe_.pending.find(key_);
  if (found != stripe_.pending.end() && found->second.ticket == ticket) {
    found->second.head = nullptr;
  }
}

void HeadIndex::Slot::FallBack(Ticket ticket, Ticket kept) {
  const auto found = stripe_.pending.find(key_);
  if (found != stripe_.pending.end() && found->second.ticket == ticket) {
    found->second = {.ticket = kept, .head = nullptr};
  }
}

void HeadIndex::Slot::Overtake() {
  const auto found = stripe_.loading.find(key_);
  if (found != stripe_.loading.end()) found->second.overtaken = true;
}

std::optional<HeadIndex::LoadNumber> HeadIndex::Slot::JoinLoad(Waiter waiter) {
  const auto [entry, first] = stripe_.loading.try_emplace(key_);
  entry->second.waiters.push_back(std::move(waiter));
  if (!first) return std::nullopt;
  return entry->second.number = ++stripe_.last_load;
}

bool HeadIndex::Slot::IsLoading(LoadNumber load) const {
  const auto found = stripe_.loading.find(key_);
  return found != stripe_.loading.end() && found->second.number == load;
}

bool HeadIndex::Slot::overtaken() const {
  const auto found = stripe_.loading.find(key_);
  return found != stripe_.loading.end() && found->second.overtaken;
}

void HeadIndex::Slot::RestartLoad() {
  const auto found = stripe_.loading.find(key_);
  if (found != stripe_.loading.end()) found->second.overtaken = false;
}

std::vector<HeadIndex::Waiter> HeadIndex::Slot::FinishLoad() {
  const auto found = stripe_.loading.find(key_);
  if (found == stripe_.loading.end()) return {};
  std::vector<Waiter> waiters = std::move(found->second.waiters);
  stripe_.loading.erase(found);
  return waiters;
}

HeadIndex::HeadIndex() : stripes_(std::make_unique<Slot::Stripe[]>(kStripes)) {}
HeadIndex::~HeadIndex() = default;

HeadIndex::Slot HeadIndex::Lock(const Key256& key) {
  return Slot(stripes_[key.word() % kStripes], key);
}

size_t HeadIndex::pending() const {
  size_t count = 0;
  for (size_t i = 0; i < kStripes; ++i) {
    const std::lock_guard lock(stripes_[i].mutex);
    count += stripes_[i].pending.size();
  }
  return count;
}

void HeadIndex::ForgetPending() {
  for (size_t i = 0; i < kStripes; ++i) {
    const std::lock_guard lock(stripes_[i].mutex);
    stripes_[i].pending.clear();
    for (auto& [key, loading] : stripes_[i].loading) loading.overtaken = true;
  }
}

}  // namespace nearside::storage

#include "origin/failure_limit.h"

#include <algorithm>

#include "net/address.h"
#include "origin/client_network.h"

namespace nearside::origin {

bool FailureLimit::Counts(std::string_view address) const {
  if (most_ <= 0) return false;
  if (loopback_too_) return true;
  const auto parsed = net::SocketAddress::FromLiteral(address, 0);
  return !parsed || !parsed->IsLoopback();
}

milliseconds FailureLimit::WaitOf(std::string_view address, MonoTime now) const {
  if (free_at_.empty() || !Counts(address)) return milliseconds(0);
  const auto found = free_at_.find(ClientNetwork(address));
  if (found == free_at_.end()) return milliseconds(0);
  const auto over = found->second + window_ / most_ - now - window_;
  return std::max(milliseconds(0), std::chrono::ceil<milliseconds>(over));
}

void FailureLimit::Count(std::string_view address, MonoTime now) {
  if (!Counts(address)) return;
  std::string key = ClientNetwork(address);
  if (!free_at_.contains(key)) MakeRoom(now);
  MonoTime& free_at = free_at_[std::move(key)];
  free_at = std::max(free_at, now) + window_ / most_;
}

void FailureLimit::MakeRoom(MonoTime now) {
  if (free_at_.size() < kAddresses) return;
  std::erase_if(free_at_, [now](const auto& row) { return row.second <= now; });
  if (free_at_.size() < kAddresses) return;
  const auto by_time = [](const auto& a, const auto& b) { return a.second < b.second; };
  free_at_.erase(std::min_element(free_at_.begin(), free_at_.end(), by_time));
}

}  // namespace nearside::origin

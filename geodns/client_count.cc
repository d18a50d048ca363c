#include "geodns/client_count.h"

#include <algorithm>
#include <bit>
#include <string_view>

#include "runtime/hash.h"

namespace nearside::geodns {
namespace {

/// Clients choose their addresses (of IPv6 nearly all bits of them), so that they must not know
/// which share a chain.
uint64_t HashOf(const IpAddress& client) {
  const auto raw = client.raw();
  return SipHash(std::string_view(reinterpret_cast<const char*>(raw.data()), raw.size()));
}

}  // namespace

ClientCount::ClientCount(size_t clients)
    : chains_(std::bit_ceil(std::max(clients, size_t{1})), kNone) {}

std::optional<ClientCount::Place> ClientCount::Add(const IpAddress& client, size_t most) {
  const size_t chain = HashOf(client) & (chains_.size() - 1);
  Place place = Find(client, chain);
  const size_t count = place == kNone ? 0 : clients_[place].count;
  if (count >= most) return std::nullopt;
  if (place == kNone) place = Enter(client, chain);
  ++clients_[place].count;
  return place;
}

ClientCount::Place ClientCount::Find(const IpAddress& client, size_t chain) const {
  Place place = chains_[chain];
  while (place != kNone && clients_[place].address != client) place = clients_[place].next;
  return place;
}

ClientCount::Place ClientCount::Enter(const IpAddress& client, size_t chain) {
  if (unused_ == kNone) {
    unused_ = static_cast<Place>(clients_.size());
    clients_.emplace_back();
  }
  const Place place = unused_;
  Client& entered = clients_[place];
  unused_ = entered.next;
  entered = {.address = client, .count = 0, .chain = chain, .next = chains_[chain]};
  chains_[chain] = place;
  ++counted_;
  return place;
}

void ClientCount::Remove(Place place) {
  Client& client = clients_[place];
  if (--client.count > 0) return;
  Place* link = &chains_[client.chain];
  while (*link != place) link = &clients_[*link].next;
  *link = client.next;
  client.next = unused_;
  unused_ = place;
  --counted_;
}

}  // namespace nearside::geodns

#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <tuple>

#include "dns/name.h"
#include "geodns/alias_lookup.h"
#include "geodns/alias_networks.h"
#include "net/event_loop.h"
#include "runtime/clock.h"

namespace nearside::geodns {

/// What the learners of one resolver share.
struct Learning {
  using Key = std::tuple<bool, uint8_t, std::array<uint8_t, 16>>;
  AliasOptions options;
  /// The table of a learner is another one than before. Not from inside a call of a learner.
  std::function<void()> on_change;
  size_t networks = 0;         ///< that have a place: AliasOptions::networks at most
  size_t running = 0;          ///< look-ups at the moment
  uint64_t good = 0;           ///< look-ups
  uint64_t failed = 0;         ///< look-ups
  uint64_t refused = 0;        ///< asks that found no room; they come again with the next query
  uint64_t over_share = 0;     ///< the same where it was the asker's share that was used up
  std::map<Key, size_t> held;  ///< networks that have a place, by the source that asked for them

  /// Subnets cost nothing to make up: who has asked for a quarter of the places gets no more once
  /// half of them are taken.
  bool MayAdd(const Key& source) const;
};

/// Finds out what one target leads to for the networks of clients that ask, in the background: who
/// has no answer of its own yet gets the one for all. Whether the target's owner tells clients
/// apart at all is learned from the first networks of each address family, one after the other:
/// when three look-ups say that they do not, no further network is asked for, until it is looked at
/// again after an hour. An answer is renewed when half of its time is over, and forgotten when
/// nobody has asked for it in two such times. Owned by the control loop.
class NetworkLearner {
 public:
  /// `target` is the number that asks carry. `learning` outlives this.
  NetworkLearner(net::EventLoop& loop, Learning& learning, uint32_t target, dns::NameView name);
  ~NetworkLearner();

  /// Begins to find out, unless it is known or under way. `source`: where the ask came from
  /// (AliasAsk).
  void Learn(const Network& network, const Network& source);
  /// What is known at the moment.
  std::shared_ptr<const AliasNetworks> Table();
  /// Forgets all networks.
  void Clear();

  static constexpr size_t kMostAtOnce = 16;  ///< look-ups of all learners

 private:
  class Own;
  using Key = Learning::Key;
  /// What is known of the clients of one address family.
  struct FamilyState {
    bool is_known = false;
    bool is_tailored = true;  ///< or not known yet
    int told_same = 0;        ///< look-ups that said that clients are not told apart
    bool wants_asks = true;
    MonoTime wants_at;  ///< when they are wanted again
  };
  static Key KeyOf(const Network& network);
  bool Judge(bool is_ipv6);
  void SetSame(bool is_ipv6, milliseconds ask_again);
  bool HasAnother(const Own& than, const AliasNetworks::Answer& answer) const;
  void WantAgain();
  void Changed();
  void Forget(const Network& asked);

  net::EventLoop& loop_;
  Learning& learning_;
  const uint32_t target_;
  const dns::Name name_;
  std::array<FamilyState, 2> families_;  ///< IPv4, IPv6
  net::Timer want_again_;
  std::map<Key, std::unique_ptr<Own>> own_;     ///< by what is asked for
  std::shared_ptr<const AliasNetworks> table_;  ///< null: to be made anew
};

}  // namespace nearside::geodns

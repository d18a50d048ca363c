#pragma once

// What ALIAS records lead to outside our zones, looked up in the background so that no answer ever
// waits: each name is asked for again before its time is up, and what was known last stands while
// resolvers fail. Beside the answer for all there are those for networks of clients, where the
// name's owner tells them apart (network_learner.h).

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "geodns/address.h"
#include "geodns/alias_lookup.h"
#include "geodns/alias_networks.h"
#include "geodns/network_learner.h"
#include "net/event_loop.h"
#include "runtime/clock.h"

namespace nearside::geodns {

/// What is known of one target.
struct AliasResult {
  bool known = false;  ///< false: not looked up yet, or too long ago
  std::vector<IpAddress> addresses;
  /// Of the answers: half of what the resolver gave, because the target is asked for again when the
  /// other half is over. So nobody has an address for longer than its owner allows.
  uint32_t ttl = 0;
  bool operator==(const AliasResult&) const = default;
};

/// Everything there is to tell about one target.
struct AliasState {
  AliasResult result;
  bool asked = false;    ///< a look-up has ended, well or not
  bool stale = false;    ///< the last one failed
  WallTime resolved_at;  ///< of the last good one
  std::string error;     ///< of the last one; "" when it was good
};

/// What outlives the process of one target.
struct RememberedAlias {
  std::vector<IpAddress> addresses;
  uint32_t ttl = 0;     ///< AliasResult's
  WallTime good_until;  ///< when the resolver's answer is over
  WallTime resolved_at;
};
using AliasMemory = std::map<std::string, RememberedAlias>;  ///< by the target as text

/// The state file as text, and back. Error: kSelf bad_state for what ToText did not write.
std::string AliasMemoryToText(const AliasMemory& memory);
Result<AliasMemory> AliasMemoryFromText(std::string_view text);

/// Owned by the control loop.
class AliasResolver {
 public:
  /// Wire form in lower case.
  using Target = std::vector<uint8_t>;
  static dns::NameView NameOf(const Target& target) { return {target.data(), target.size()}; }

  /// `on_change`: a result is another one than before. Not from inside a call of this class.
  AliasResolver(net::EventLoop& loop, std::function<void()> on_change);
  ~AliasResolver();

  /// What a process before knew: it stands until the first answer, as if resolvers had failed
  /// since. Before Start.
  void Remember(AliasMemory memory) { remembered_ = std::move(memory); }
  /// What is known now.
  AliasMemory Memory() const;
  /// Keeps what is known of those that are still wanted, forgets the others and looks the new ones
  /// up.
  void Start(AliasOptions options, const std::vector<Target>& targets);
  /// nullptr: not one of the targets.
  const AliasState* Find(const Target& target) const;
  /// What networks of clients get of it; nullptr: not one of the targets, or subnets are not told.
  std::shared_ptr<const AliasNetworks> NetworksOf(const Target& target) const;
  /// Finds an answer of its own for a network; asks for a target that is gone are passed over.
  void Learn(const AliasAsk& ask);
  /// A look-up of each target has ended.
  bool all_asked() const;
  uint64_t good_lookups() const { return good_; }
  uint64_t failed_lookups() const { return failed_; }
  /// Of networks: look-ups and places.
  const Learning& learning() const { return learning_; }

 private:
  class Entry;
  static constexpr size_t kMostAtOnce = 64;

  const AliasOptions& options() const { return learning_.options; }

  net::EventLoop& loop_;
  std::function<void()> on_change_;
  uint64_t good_ = 0;
  uint64_t failed_ = 0;
  Learning learning_;
  net::Timer networks_changed_;  ///< many networks are told of together
  AliasMemory remembered_;
  uint32_t last_number_ = 0;  ///< of an entry
  std::map<Target, std::unique_ptr<Entry>> entries_;
  std::unordered_map<uint32_t, Entry*> by_number_;
  size_t running_ = 0;  ///< entries that ask at the moment
};

}  // namespace nearside::geodns

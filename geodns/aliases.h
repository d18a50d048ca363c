#pragma once

// The ALIAS records of all zones: what each of them leads to, worked out when zones are loaded.

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "geodns/alias_resolver.h"
#include "geodns/snapshot.h"
#include "geodns/zone.h"
#include "runtime/result.h"

namespace nearside::geodns {

/// More names than this are not looked up again and again.
inline constexpr size_t kMaxAliases = 10'000;

/// One ALIAS record. Valid as long as its zones.
struct AliasPlan {
  std::string owner;  ///< "demo.test."
  /// Where it leads after CNAMEs inside our zones, in lower case.
  AliasResolver::Target target;
  const Zone* zone = nullptr;  ///< of ours, in which the target is; null: it is looked up
  const Zone::Node* node =
      nullptr;       ///< the target in `zone`; null as well when it has no such name
  uint32_t ttl = 0;  ///< the most that its answers have
};

/// By Zone::first_alias() and Zone::Node::alias; `zones` are all that are served. Error: kOperator
/// bad_zone: an ALIAS that leads to an ALIAS of ours, or in a circle, or too many of them.
Result<std::vector<AliasPlan>> PlanAliases(std::span<const std::shared_ptr<const Zone>> zones);

/// Targets that have to be looked up, each once.
std::vector<AliasResolver::Target> TargetsOf(std::span<const AliasPlan> plans);

/// The answers of the moment, by plan. Without a resolver nothing outside our zones is known.
std::vector<AliasAnswer> AnswersOf(std::span<const AliasPlan> plans, const AliasResolver* resolver);

}  // namespace nearside::geodns

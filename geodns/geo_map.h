#pragma once

// From an address to a place, and from a place to the order in which the points of presence are
// near: worked out once for each distinct record when a database is loaded, so that a query costs a
// walk of a trie.

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "geodns/geo_database.h"
#include "geodns/place.h"
#include "geodns/prefix_trie.h"
#include "runtime/result.h"

namespace nearside::geodns {

/// At most this many points of presence: a ranking is a string of bytes.
inline constexpr size_t kMaxPops = 250;

/// What steering knows of a client. Places in one cell of 5 by 5 degrees that have the same
/// country, continent, autonomous system and ranking are one place.
struct Place {
  CountryCode country;
  Continent continent = Continent::kNone;
  /// Every point of presence, the nearest first; empty: where the client is, nobody knows.
  std::vector<uint8_t> ranking;
  uint32_t asn = 0;   ///< of those that rules name; 0: another one, or unknown
  uint16_t cell = 0;  ///< which 5 by 5 degrees
  /// By index in `ranking`: the cosine of the angle between there and here, greater being nearer.
  std::vector<float> nearness;
  bool operator==(const Place&) const = default;
};

/// Immutable; any thread.
class GeoMap {
 public:
  /// Reads the databases. Where several know the place of an address, the first one named counts,
  /// and so for its autonomous system: a file of places and one of systems complete each other.
  /// `pops` are the points of presence in the order of their numbers, `asns` the autonomous systems
  /// that rules name, ascending: only these keep networks apart. Error: kOperator bad_database.
  static Result<std::shared_ptr<const GeoMap>> Load(const std::vector<std::string>& files,
                                                    std::span<const Coordinates> pops,
                                                    std::span<const uint32_t> asns = {});

  /// Values are numbers for place().
  const PrefixTrie& trie(bool is_ipv6) const { return is_ipv6 ? ipv6_ : ipv4_; }
  /// Number 0 is the unknown place.
  const Place& place(uint32_t number) const { return places_[number]; }
  size_t place_count() const { return places_.size(); }

  /// The records behind an address's place, for explain.
  struct Evidence {
    const GeoDatabase* database = nullptr;  ///< null: no database knows the place
    Network network;
    Locality locality;  ///< completed: continent and coordinates may be the country's; all of asn
    bool coordinates_of_country = false;
    const GeoDatabase* asn_database = nullptr;  ///< null: no database knows the autonomous system
    Network asn_network;
    std::string as_organization;
  };
  Evidence Explain(const IpAddress& address) const;

  std::span<const std::unique_ptr<GeoDatabase>> databases() const { return databases_; }
  size_t memory_bytes() const { return ipv4_.memory_bytes() + ipv6_.memory_bytes(); }

 private:
  std::vector<std::unique_ptr<GeoDatabase>> databases_;
  PrefixTrie ipv4_;
  PrefixTrie ipv6_;
  std::vector<Place> places_ = {Place()};
};

}  // namespace nearside::geodns

#pragma once

// The one place that calls libmaxminddb. Both layouts in use are read: MaxMind's GeoIP2 and
// GeoLite2 (country.iso_code, continent.code, location.latitude) and the flat one of the free
// databases (country_code, latitude, longitude at the top level). Numbers of autonomous systems
// have one name in both: autonomous_system_number.

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "geodns/address.h"
#include "geodns/place.h"
#include "geodns/prefix_trie.h"
#include "runtime/clock.h"
#include "runtime/result.h"

namespace nearside::geodns {

/// Gives a number to what a database says of a network: equal localities, equal numbers.
class LocalityNumbers {
 public:
  virtual ~LocalityNumbers() = default;
  /// Below TrieBuilder::kMostValues; 0 is kept for "nothing known".
  virtual uint32_t Number(const Locality& locality) = 0;
};

/// An open MMDB file. Immutable; any thread may look up.
class GeoDatabase {
 public:
  /// Error: kOperator bad_database naming the file: unreadable, no MMDB, cut off.
  static Result<std::unique_ptr<GeoDatabase>> Open(const std::string& path);
  ~GeoDatabase();
  GeoDatabase(const GeoDatabase&) = delete;
  GeoDatabase& operator=(const GeoDatabase&) = delete;

  struct Tries {
    PrefixTrie ipv4;
    PrefixTrie ipv6;
  };
  /// Walks the whole file once. Error: kOperator bad_database when the tree is damaged, or when no
  /// record has a country, a continent, coordinates or an autonomous system; the message then says
  /// what the records have.
  Result<Tries> ReadTries(LocalityNumbers& numbers) const;

  struct Lookup {
    Network network;  ///< of the file's record
    Locality locality;
    std::string as_organization;  ///< autonomous_system_organization
  };
  /// Empty when the file has no record for the address, or was cut off in place meanwhile.
  std::optional<Lookup> Find(const IpAddress& address) const;

  const std::string& path() const { return path_; }
  std::string type() const;
  WallTime built() const;
  uint32_t node_count() const;

 private:
  class Walk;
  struct Handle;
  bool IsCutOff() const;
  GeoDatabase(std::string path, std::unique_ptr<Handle> handle);
  std::string path_;
  std::unique_ptr<Handle> handle_;
};

}  // namespace nearside::geodns

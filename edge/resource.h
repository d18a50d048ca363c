#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "edge/site.h"
#include "http/message.h"
#include "runtime/hash.h"
#include "runtime/local_ref.h"

namespace nearside::edge {

/// What a request's scheme, authority and target name at a site. Immutable; of one worker; valid as
/// long as the site's configuration.
struct Resource {
  const Site* site = nullptr;
  std::string target;      ///< as it stands in the key: normalised, by the site's query rule
  std::string url;         ///< likewise
  bool query_cut = false;  ///< a fill asks for less than the request does
  Key256 key;              ///< of its response, or of the index of its variants
};
using ResourceRef = LocalRef<Resource>;

/// Finds out what `request` names at `site`, its target normalised already.
ResourceRef MakeResource(const Site& site, const http::RequestHead& request,
                         std::string normal_target);

/// What requests have named lately: normalising a target and hashing its URL takes longer than all
/// else that the edge does for a hit. One place for each hash, in which the newest stays. Owned by
/// one worker.
class KnownResources {
 public:
  static constexpr size_t kPlaces = 4096;
  /// Of authority and target together; longer ones are not remembered.
  static constexpr size_t kMostTextBytes = 512;

  /// `seed` keeps others from knowing which requests share a place.
  explicit KnownResources(uint64_t seed) : seed_(seed) {}

  /// Null: not known.
  ResourceRef Find(const http::RequestHead& request) const;
  void Add(const http::RequestHead& request, ResourceRef resource);
  /// To be called when sites may have changed.
  void Clear() { places_.clear(); }

 private:
  struct Known {
    std::string scheme, authority, target;  ///< as the request has them
    ResourceRef resource;
  };
  size_t PlaceOf(const http::RequestHead& request) const;

  uint64_t seed_;
  std::vector<std::unique_ptr<Known>> places_;  ///< empty until something is known
};

}  // namespace nearside::edge

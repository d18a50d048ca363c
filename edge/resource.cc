#include "edge/resource.h"

#include <utility>

#include "edge/cache_key.h"
#include "runtime/text_bytes.h"

namespace nearside::edge {

ResourceRef MakeResource(const Site& site, const http::RequestHead& request,
                         std::string normal_target) {
  Resource resource{.site = &site};
  const size_t asked_bytes = normal_target.size();
  resource.target = site.query_rule.Apply(std::move(normal_target));
  resource.query_cut = resource.target.size() != asked_bytes;
  resource.url = NormalUrl(request, resource.target);
  resource.key = PrimaryKey(site.settings.name, resource.url);
  return ResourceRef::Make(std::move(resource));
}

size_t KnownResources::PlaceOf(const http::RequestHead& request) const {
  const uint64_t authority = Xxh64(AsBytes(request.authority), seed_);
  return Xxh64(AsBytes(request.target), authority) % kPlaces;
}

ResourceRef KnownResources::Find(const http::RequestHead& request) const {
  if (places_.empty()) return nullptr;
  const Known* known = places_[PlaceOf(request)].get();
  const bool same = known != nullptr && known->target == request.target &&
                    known->authority == request.authority && known->scheme == request.scheme;
  return same ? known->resource : nullptr;
}

void KnownResources::Add(const http::RequestHead& request, ResourceRef resource) {
  if (request.authority.size() + request.target.size() > kMostTextBytes) return;
  places_.resize(kPlaces);
  places_[PlaceOf(request)] = std::make_unique<Known>(Known{.scheme = request.scheme,
                                                            .authority = request.authority,
                                                            .target = request.target,
                                                            .resource = std::move(resource)});
}

}  // namespace nearside::edge

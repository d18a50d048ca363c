#include "storage/cache_store.h"

#include <string>
#include <utility>

#include "runtime/text_bytes.h"
#include "storage/lmdb_cache_store.h"
#include "storage/memory_cache_store.h"

namespace nearside::storage {

ScopeHash ScopeOf(ScopeKind kind, std::string_view site, std::string_view name) {
  // Stored on disk: the hash and this text must not change (kSchemaVersion). NUL is in no site's
  // name.
  std::string text(1, static_cast<char>(kind));
  text.reserve(site.size() + name.size() + 2);
  text.append(site).append(1, '\0').append(name);
  return Xxh64(AsBytes(text));
}

Result<std::unique_ptr<CacheStore>> CacheStore::Open(const CacheOptions& options,
                                                     PayloadDecoder decoder) {
  if (!options.path.empty()) return LmdbCacheStore::Open(options, std::move(decoder));
  return std::make_unique<MemoryCacheStore>(options, std::move(decoder));
}

}  // namespace nearside::storage

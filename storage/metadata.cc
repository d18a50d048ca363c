#include "storage/metadata.h"

#include "storage/metadata_sql.h"

namespace nearside::storage {

Result<std::unique_ptr<Metadata>> Metadata::Open(std::string_view url,
                                                 const MetadataOptions& options) {
  constexpr std::string_view kSqlite = "sqlite:";
  if (url.starts_with(kSqlite) && url.size() > kSqlite.size()) {
    return SqlMetadata::OpenSqlite(std::string(url.substr(kSqlite.size())), options);
  }
  if (url.starts_with("postgresql:")) {
    return Fail(Fault::kOperator, "bad_url",
                "\"" + std::string(url) +
                    "\": PostgreSQL is not supported by this version; expected \"sqlite:FILE\", "
                    "for example \"sqlite:var/origin/meta.db\"");
  }
  return Fail(Fault::kOperator, "bad_url",
              "\"" + std::string(url) +
                  "\": expected the URL of a database, for example \"sqlite:var/origin/meta.db\"");
}

}  // namespace nearside::storage

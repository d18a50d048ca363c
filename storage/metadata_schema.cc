#include <span>
#include <string>

#include "runtime/crypto.h"
#include "storage/metadata_sql.h"

namespace nearside::storage {
namespace {

// Every step is run once, in order, and never edited after it was released: a change of the schema
// is a further step. BIGINT and not INTEGER: Poco reads INTEGER as 32 bits.
constexpr const char* kStep1[] = {
    "CREATE TABLE log (epoch BIGINT NOT NULL, first_seq BIGINT NOT NULL, last_seq BIGINT NOT NULL, "
    "last_release BIGINT NOT NULL)",
    "CREATE TABLE sites (name TEXT NOT NULL PRIMARY KEY, settings TEXT NOT NULL, "
    "active BIGINT NOT NULL, created BIGINT NOT NULL, changed BIGINT NOT NULL)",
    "CREATE TABLE hosts (host TEXT NOT NULL PRIMARY KEY, site TEXT NOT NULL, "
    "place BIGINT NOT NULL)",
    "CREATE INDEX hosts_by_site ON hosts (site)",
    "CREATE TABLE releases (id BIGINT NOT NULL PRIMARY KEY, site TEXT NOT NULL, "
    "kind TEXT NOT NULL, created BIGINT NOT NULL, activated BIGINT NOT NULL, "
    "activation BIGINT NOT NULL, activations BIGINT NOT NULL, assets BIGINT NOT NULL, "
    "bytes BIGINT NOT NULL)",
    "CREATE INDEX releases_by_site ON releases (site, activation)",
    "CREATE TABLE assets (release BIGINT NOT NULL, path TEXT NOT NULL, blob TEXT NOT NULL, "
    "bytes BIGINT NOT NULL, content_type TEXT NOT NULL, headers TEXT NOT NULL, "
    "tags TEXT NOT NULL, modified BIGINT NOT NULL, PRIMARY KEY (release, path))",
    "CREATE INDEX assets_by_blob ON assets (blob)",
    "CREATE TABLE blobs (sha256 TEXT NOT NULL PRIMARY KEY, bytes BIGINT NOT NULL, "
    "added BIGINT NOT NULL)",
    "CREATE TABLE events (seq BIGINT NOT NULL PRIMARY KEY, time BIGINT NOT NULL, "
    "type TEXT NOT NULL, site TEXT NOT NULL, body TEXT NOT NULL)",
    "CREATE TABLE edges (name TEXT NOT NULL PRIMARY KEY, epoch BIGINT NOT NULL, "
    "seq BIGINT NOT NULL, applied_at BIGINT NOT NULL, seen_at BIGINT NOT NULL, "
    "report TEXT NOT NULL)",
};

constexpr const char* kStep2[] = {
    "ALTER TABLE log ADD COLUMN tokens BIGINT NOT NULL DEFAULT 0",
    "CREATE TABLE tokens (id TEXT NOT NULL PRIMARY KEY, name TEXT NOT NULL, "
    "digest TEXT NOT NULL, site TEXT NOT NULL, scopes TEXT NOT NULL, created_by TEXT NOT NULL, "
    "created BIGINT NOT NULL, expires BIGINT NOT NULL, revoked BIGINT NOT NULL, "
    "used BIGINT NOT NULL)",
    "CREATE INDEX tokens_by_site ON tokens (site)",
    "CREATE TABLE audit (seq BIGINT NOT NULL PRIMARY KEY, time BIGINT NOT NULL, "
    "event BIGINT NOT NULL, token TEXT NOT NULL, name TEXT NOT NULL, client TEXT NOT NULL, "
    "action TEXT NOT NULL, site TEXT NOT NULL, detail TEXT NOT NULL)",
    "CREATE INDEX audit_by_site ON audit (site, seq)",
};

constexpr const char* kStep3[] = {
    "ALTER TABLE assets ADD COLUMN notes TEXT NOT NULL DEFAULT ''",
    "CREATE TABLE uploads (id TEXT NOT NULL PRIMARY KEY, site TEXT NOT NULL, path TEXT NOT NULL, "
    "content_type TEXT NOT NULL, headers TEXT NOT NULL, tags TEXT NOT NULL, notes TEXT NOT NULL, "
    "begun BIGINT NOT NULL)",
    "CREATE INDEX uploads_by_path ON uploads (site, path, id)",
    "CREATE TABLE upload_parts (upload TEXT NOT NULL, number BIGINT NOT NULL, blob TEXT NOT NULL, "
    "bytes BIGINT NOT NULL, md5 TEXT NOT NULL, modified BIGINT NOT NULL, "
    "PRIMARY KEY (upload, number))",
};

constexpr const char* kStep4[] = {
    // When a release ceased to be the active one: when the next one was activated.
    "ALTER TABLE releases ADD COLUMN past_since BIGINT NOT NULL DEFAULT 0",
    "UPDATE releases SET past_since = COALESCE((SELECT MIN(n.activated) FROM releases n "
    "WHERE n.site = releases.site AND n.activation > releases.activation), 0) "
    "WHERE activation > 0",
    "ALTER TABLE blobs ADD COLUMN condemned BIGINT NOT NULL DEFAULT 0",
    "CREATE INDEX blobs_condemned ON blobs (condemned) WHERE condemned > 0",
    "CREATE INDEX upload_parts_by_blob ON upload_parts (blob)",
};

constexpr const char* kStep5[] = {
    "CREATE TABLE resumable_uploads (id TEXT NOT NULL PRIMARY KEY, site TEXT NOT NULL, "
    "path TEXT NOT NULL, content_type TEXT NOT NULL, headers TEXT NOT NULL, tags TEXT NOT NULL, "
    "conditions TEXT NOT NULL, metadata TEXT NOT NULL, expected TEXT NOT NULL, "
    "length BIGINT NOT NULL, place BIGINT NOT NULL, hash TEXT NOT NULL, state TEXT NOT NULL, "
    "blob TEXT NOT NULL, expires BIGINT NOT NULL)",
    "CREATE INDEX resumable_uploads_by_expiry ON resumable_uploads (expires)",
    "CREATE INDEX resumable_uploads_sealed ON resumable_uploads (blob) WHERE state = 'sealed'",
    "CREATE INDEX resumable_uploads_open ON resumable_uploads (site) WHERE state <> 'done'",
};

constexpr const char* kStep6[] = {
    ("CREATE TABLE accounts (id TEXT NOT NULL PRIMARY KEY, name TEXT NOT NULL, "
     "password TEXT NOT NULL, generation BIGINT NOT NULL, created_by TEXT NOT NULL, "
     "created BIGINT NOT NULL, password_changed BIGINT NOT NULL, signed_in BIGINT NOT NULL)"),
    "CREATE UNIQUE INDEX accounts_by_name ON accounts (name)",
    "CREATE TABLE account_grants (account TEXT NOT NULL, site TEXT NOT NULL, "
    "scopes TEXT NOT NULL, PRIMARY KEY (account, site))",
    "CREATE INDEX account_grants_by_site ON account_grants (site)",
};

constexpr const char* kStep7[] = {
    "ALTER TABLE log ADD COLUMN last_receipt BIGINT NOT NULL DEFAULT 0",
    "CREATE TABLE receipts (id BIGINT NOT NULL PRIMARY KEY, site TEXT NOT NULL, "
    "release BIGINT NOT NULL, previous BIGINT NOT NULL, epoch BIGINT NOT NULL, "
    "seq BIGINT NOT NULL, time BIGINT NOT NULL, changed BIGINT NOT NULL, digest TEXT NOT NULL)",
    "CREATE INDEX receipts_by_site ON receipts (site, seq)",
    "CREATE TABLE receipt_edges (receipt BIGINT NOT NULL, edge TEXT NOT NULL, "
    "applied_at BIGINT NOT NULL, proved_at BIGINT NOT NULL, report TEXT NOT NULL, "
    "PRIMARY KEY (receipt, edge))",
};

constexpr const char* kStep8[] = {
    "ALTER TABLE sites ADD COLUMN quota_bytes BIGINT NOT NULL DEFAULT 0",
    "ALTER TABLE sites ADD COLUMN quota_files BIGINT NOT NULL DEFAULT 0",
    // Of a site with a quota: no more contents than this; -1: not known.
    "ALTER TABLE sites ADD COLUMN held_most BIGINT NOT NULL DEFAULT -1",
};

constexpr const char* kStep9[] = {
    "CREATE TABLE blob_variants (content TEXT NOT NULL, coding TEXT NOT NULL, "
    "blob TEXT NOT NULL, bytes BIGINT NOT NULL, PRIMARY KEY (content, coding))",
    "CREATE INDEX blob_variants_by_blob ON blob_variants (blob)",
};

constexpr std::span<const char* const> kSteps[] = {kStep1, kStep2, kStep3, kStep4, kStep5,
                                                   kStep6, kStep7, kStep8, kStep9};
constexpr int64_t kVersion = std::size(kSteps);

Result<int64_t> ReadVersion(SqlSession& session) {
  Status made = session.Run("CREATE TABLE IF NOT EXISTS schema_version (version BIGINT NOT NULL)");
  if (!made) return unexpected(std::move(made.error()));
  Result<SqlRows> rows = session.Query("SELECT version FROM schema_version");
  if (!rows) return unexpected(std::move(rows.error()));
  if (!rows->empty()) return (*rows)[0].Int(0);
  if (Status noted = session.Run("INSERT INTO schema_version (version) VALUES (0)"); !noted) {
    return unexpected(std::move(noted.error()));
  }
  return 0;
}

}  // namespace

int64_t RandomEpoch() {
  uint64_t random = 0;
  RandomBytes({reinterpret_cast<uint8_t*>(&random), sizeof random});
  return static_cast<int64_t>((random >> 12) | 1);
}

Status MigrateSchema(SqlSession& session) {
  Result<SqlTransaction> transaction = SqlTransaction::Begin(session);
  if (!transaction) return unexpected(std::move(transaction.error()));
  Result<int64_t> version = ReadVersion(session);
  if (!version) return unexpected(std::move(version.error()));
  if (*version > kVersion) {
    return Fail(Fault::kOperator, "newer_schema",
                "the database has schema version " + std::to_string(*version) +
                    ", this program knows versions up to " + std::to_string(kVersion) +
                    ": run the newer program, or restore a backup");
  }
  for (int64_t step = *version; step < kVersion; ++step) {
    for (const char* statement : kSteps[step]) {
      if (Status ran = session.Run(statement); !ran) return ran;
    }
  }
  if (*version == 0) {
    const SqlValue epoch[] = {RandomEpoch()};
    Status begun = session.Run(
        "INSERT INTO log (epoch, first_seq, last_seq, last_release) VALUES (?, 1, 0, 0)", epoch);
    if (!begun) return begun;
  }
  const SqlValue noted[] = {kVersion};
  if (Status set = session.Run("UPDATE schema_version SET version = ?", noted); !set) return set;
  return transaction->Commit();
}

}  // namespace nearside::storage

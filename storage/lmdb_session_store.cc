#include "storage/lmdb_session_store.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <mutex>
#include <unordered_map>

#include "runtime/log.h"
#include "storage/lmdb_shared_file.h"
#include "storage/stored_integer.h"

namespace nearside::storage {
namespace {

constexpr uint64_t kMapBytes = uint64_t{4} << 30;
constexpr uint8_t kFormat = 1;
constexpr size_t kHashBytes = 32;
constexpr size_t kTimeBytes = 8;
/// Removed in one transaction: others wait for it.
constexpr size_t kRemovedAtOnce = 1000;

// A session's value: format, generation, then created, used, expires and ends in milliseconds, the
// length of the account's id, the id, the note.
constexpr size_t kGenerationAt = 1;
constexpr size_t kCreatedAt = 9;
constexpr size_t kUsedAt = 17;
constexpr size_t kExpiresAt = 25;
constexpr size_t kEndsAt = 33;
constexpr size_t kAccountSizeAt = 41;
constexpr size_t kAccountAt = 42;

Bytes ToBytes(std::string_view text) {
  return {reinterpret_cast<const uint8_t*>(text.data()), text.size()};
}
std::string_view ToText(Bytes bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

/// A session as it is stored: with the end that no use moves.
struct Record {
  Session session;
  WallTime ends;
};

std::string Encode(const Record& record) {
  const Session& session = record.session;
  std::string value(kAccountAt, '\0');
  auto* const at = reinterpret_cast<uint8_t*>(value.data());
  at[0] = kFormat;
  PutLittle<int64_t>(at + kGenerationAt, session.generation);
  PutLittle<int64_t>(at + kCreatedAt, ToUnixMillis(session.created));
  PutLittle<int64_t>(at + kUsedAt, ToUnixMillis(session.used));
  PutLittle<int64_t>(at + kExpiresAt, ToUnixMillis(session.expires));
  PutLittle<int64_t>(at + kEndsAt, ToUnixMillis(record.ends));
  at[kAccountSizeAt] = static_cast<uint8_t>(session.account.size());
  return value + session.account + session.note;
}

/// nullopt for what another version has written.
std::optional<Record> Decode(const Key256& key, Bytes value) {
  if (value.size() < kAccountAt || value[0] != kFormat) return std::nullopt;
  const size_t account_bytes = value[kAccountSizeAt];
  if (value.size() < kAccountAt + account_bytes) return std::nullopt;
  const auto time = [&](size_t at) { return FromUnixMillis(GetLittle<int64_t>(&value[at])); };
  Record record;
  record.session.key = key;
  record.session.generation = GetLittle<int64_t>(&value[kGenerationAt]);
  record.session.created = time(kCreatedAt);
  record.session.used = time(kUsedAt);
  record.session.expires = time(kExpiresAt);
  record.ends = time(kEndsAt);
  record.session.account = ToText(value.subspan(kAccountAt, account_bytes));
  record.session.note = ToText(value.subspan(kAccountAt + account_bytes));
  return record;
}

std::string AccountPrefix(const std::string& account) { return account + '\0'; }
std::string AccountKey(const std::string& account, const Key256& key) {
  return AccountPrefix(account) + std::string(ToText(key.bytes));
}
std::string ExpiryKey(WallTime expires, const Key256& key) {
  std::string text(kTimeBytes, '\0');
  PutBig<uint64_t>(reinterpret_cast<uint8_t*>(text.data()),
                   static_cast<uint64_t>(std::max<int64_t>(0, ToUnixMillis(expires))));
  return text + std::string(ToText(key.bytes));
}
/// The hash at the end of a key of either index.
std::optional<Key256> HashOf(Bytes key) {
  if (key.size() < kHashBytes) return std::nullopt;
  Key256 hash;
  std::copy_n(key.end() - kHashBytes, kHashBytes, hash.bytes.begin());
  return hash;
}

/// A use that is noted so late that its session has ended would be none.
SessionOptions Sensible(SessionOptions options) {
  options.note_use_after = std::min(options.note_use_after, options.idle / 10);
  options.write_uses_after = std::min(options.write_uses_after, options.idle / 10);
  options.most_of_account = std::max<size_t>(options.most_of_account, 1);
  return options;
}

class LmdbSessions final : public SessionStore {
 public:
  explicit LmdbSessions(const SessionOptions& options) : options_(Sensible(options)) {}
  ~LmdbSessions() override {
    if (file_.is_open()) (void)WriteUses();
  }
  Status Open(const std::string& folder);

  Result<std::string> Create(const SessionDraft& draft) override {
    return file_.Do([&] { return CreateNow(draft); });
  }
  Result<std::optional<Session>> Find(std::string_view id) override {
    return file_.Do([&] { return FindNow(id); });
  }
  Status Remove(const Key256& key) override {
    return file_.Do([&] { return RemoveNow(key); });
  }
  Result<size_t> RemoveAll(const std::string& account, const std::optional<Key256>& kept) override {
    return file_.Do([&] { return RemoveAllNow(account, kept); });
  }
  Result<std::vector<Session>> List(const std::string& account) override {
    return file_.Do([&] { return ListNow(account); });
  }
  Result<size_t> Count() override {
    return file_.Do([&] { return CountNow(); });
  }
  Result<size_t> Sweep(size_t limit) override {
    return file_.Do([&] { return SweepNow(limit); });
  }

 private:
  Result<std::string> CreateNow(const SessionDraft& draft);
  Result<std::optional<Session>> FindNow(std::string_view id);
  Status RemoveNow(const Key256& key);
  Result<size_t> RemoveAllNow(const std::string& account, const std::optional<Key256>& kept);
  Result<std::vector<Session>> ListNow(const std::string& account);
  Result<size_t> CountNow();
  Result<size_t> SweepNow(size_t limit);
  Result<std::vector<Session>> SessionsOf(const LmdbTxn& txn, const std::string& account) const;
  Result<std::optional<Record>> Read(const LmdbTxn& txn, const Key256& key) const;
  Status Put(LmdbWriteTxn& txn, const Record& record);
  Status Erase(LmdbWriteTxn& txn, const Key256& key);
  Status MakeRoom(LmdbWriteTxn& txn, const std::string& account);
  Result<size_t> EraseEnded(LmdbWriteTxn& txn, size_t limit);
  void NoteUse(Session* session);
  bool UsesAreDue();
  Status WriteUses();
  Status PutUses(LmdbWriteTxn& txn);
  void MoveExpiry(Record* record, WallTime used) const;

  const SessionOptions options_;
  LmdbSharedFile file_;
  LmdbTable sessions_;    ///< hash → session
  LmdbTable by_account_;  ///< account, NUL, hash → nothing
  LmdbTable by_expiry_;   ///< time, hash → nothing
  std::mutex uses_mutex_;
  std::unordered_map<Key256, WallTime> uses_;  ///< noted, not yet written
  WallTime uses_written_;                      ///< when some were last
};

Status LmdbSessions::Open(const std::string& folder) {
  const std::pair<const char*, LmdbTable*> tables[] = {
      {"sessions", &sessions_}, {"by_account", &by_account_}, {"by_expiry", &by_expiry_}};
  return file_.Open({.folder = folder,
                     .name = "sessions.lmdb",
                     .map_bytes = kMapBytes,
                     .event = "sessions_damaged"},
                    tables);
}

Result<std::optional<Record>> LmdbSessions::Read(const LmdbTxn& txn, const Key256& key) const {
  Result<std::optional<Bytes>> value = txn.Get(sessions_, key.bytes);
  if (!value) return unexpected(std::move(value.error()));
  if (!*value) return std::nullopt;
  return Decode(key, **value);
}

Status LmdbSessions::Put(LmdbWriteTxn& txn, const Record& record) {
  const Session& session = record.session;
  Status put = txn.Put(sessions_, session.key.bytes, ToBytes(Encode(record)));
  if (put) put = txn.Put(by_account_, ToBytes(AccountKey(session.account, session.key)), {});
  if (put) put = txn.Put(by_expiry_, ToBytes(ExpiryKey(session.expires, session.key)), {});
  return put;
}

Status LmdbSessions::Erase(LmdbWriteTxn& txn, const Key256& key) {
  Result<std::optional<Record>> record = Read(txn, key);
  if (!record) return unexpected(std::move(record.error()));
  Result<bool> erased = txn.Erase(sessions_, key.bytes);
  if (erased && *record) {
    const Session& session = (*record)->session;
    erased = txn.Erase(by_account_, ToBytes(AccountKey(session.account, key)));
    if (erased) erased = txn.Erase(by_expiry_, ToBytes(ExpiryKey(session.expires, key)));
  }
  if (!erased) return unexpected(std::move(erased.error()));
  return {};
}

Result<std::vector<Session>> LmdbSessions::SessionsOf(const LmdbTxn& txn,
                                                      const std::string& account) const {
  Result<LmdbCursor> cursor = txn.Open(by_account_);
  if (!cursor) return unexpected(std::move(cursor.error()));
  const std::string prefix = AccountPrefix(account);
  std::vector<Session> sessions;
  for (auto entry = cursor->AtOrAfter(ToBytes(prefix));; entry = cursor->Next()) {
    if (!entry) return unexpected(std::move(entry.error()));
    if (!*entry || !ToText((*entry)->key).starts_with(prefix)) return sessions;
    const std::optional<Key256> key = HashOf((*entry)->key);
    if (!key) continue;
    Result<std::optional<Record>> record = Read(txn, *key);
    if (!record) return unexpected(std::move(record.error()));
    if (*record) sessions.push_back(std::move((*record)->session));
  }
}

/// Those that have ended, the first that did first.
Result<size_t> LmdbSessions::EraseEnded(LmdbWriteTxn& txn, size_t limit) {
  const std::string now = ExpiryKey(options_.clock(), Key256());
  std::vector<std::string> ended;
  {
    Result<LmdbCursor> cursor = txn.Open(by_expiry_);
    if (!cursor) return unexpected(std::move(cursor.error()));
    for (auto entry = cursor->First(); ended.size() < limit; entry = cursor->Next()) {
      if (!entry) return unexpected(std::move(entry.error()));
      if (!*entry) break;
      const std::string_view key = ToText((*entry)->key);
      if (key.substr(0, kTimeBytes) > std::string_view(now).substr(0, kTimeBytes)) break;
      ended.emplace_back(key);
    }
  }
  for (const std::string& key : ended) {
    const std::optional<Key256> hash = HashOf(ToBytes(key));
    Status erased = hash ? Erase(txn, *hash) : Status();
    if (!erased) return unexpected(std::move(erased.error()));
    // What another version has written names no times: its place in the index is this one.
    Result<bool> place = txn.Erase(by_expiry_, ToBytes(key));
    if (!place) return unexpected(std::move(place.error()));
  }
  return ended.size();
}

/// For one more of the account, and one more in all.
Status LmdbSessions::MakeRoom(LmdbWriteTxn& txn, const std::string& account) {
  Result<std::vector<Session>> own = SessionsOf(txn, account);
  if (!own) return unexpected(std::move(own.error()));
  std::sort(own->begin(), own->end(),
            [](const Session& a, const Session& b) { return a.used < b.used; });
  const size_t most = options_.most_of_account;
  const size_t surplus = own->size() >= most ? own->size() + 1 - most : 0;
  for (size_t i = 0; i < surplus; ++i) {
    if (Status erased = Erase(txn, (*own)[i].key); !erased) return erased;
  }
  if (txn.Entries(sessions_) < options_.most) return {};
  Result<size_t> ended = EraseEnded(txn, kRemovedAtOnce);
  if (!ended) return unexpected(std::move(ended.error()));
  if (txn.Entries(sessions_) < options_.most) return {};
  return Fail(Fault::kSelf, "too_many_sessions",
              "there are " + std::to_string(options_.most) + " sessions: try again later");
}

Result<std::string> LmdbSessions::CreateNow(const SessionDraft& draft) {
  if (draft.account.empty() || draft.account.size() > kSessionAccountBytes ||
      draft.account.find('\0') != std::string::npos) {
    return Fail(Fault::kClient, "bad_session", "a session is of an account");
  }
  std::string id = RandomSessionId();
  const WallTime now = options_.clock();
  Record record;
  record.session.key = SessionKeyOf(id);
  record.session.account = draft.account;
  record.session.generation = draft.generation;
  record.session.note = draft.note.substr(0, kSessionNoteBytes);
  record.session.created = record.session.used = now;
  record.ends = now + options_.life;
  record.session.expires = std::min(now + options_.idle, record.ends);
  Result<LmdbWriteTxn> txn = file_.BeginWrite();
  if (!txn) return unexpected(std::move(txn.error()));
  Status made = PutUses(*txn);
  if (made) made = MakeRoom(*txn, draft.account);
  if (made) made = Put(*txn, record);
  if (made) made = txn->Commit();
  if (!made) return unexpected(std::move(made.error()));
  return id;
}

Result<std::optional<Session>> LmdbSessions::FindNow(std::string_view id) {
  if (!IsSessionId(id)) return std::nullopt;
  std::optional<Session> found;
  {
    Result<LmdbReadTxn> txn = file_.BeginRead();
    if (!txn) return unexpected(std::move(txn.error()));
    Result<std::optional<Record>> record = Read(*txn, SessionKeyOf(id));
    if (!record) return unexpected(std::move(record.error()));
    if (!*record) return std::nullopt;
    {
      std::lock_guard lock(uses_mutex_);
      if (const auto noted = uses_.find((*record)->session.key); noted != uses_.end()) {
        MoveExpiry(&**record, noted->second);
      }
    }
    const WallTime now = options_.clock();
    if (now >= (*record)->session.expires) return std::nullopt;
    const milliseconds unused = now - (*record)->session.used;
    if (unused >= options_.note_use_after) {
      MoveExpiry(&**record, now);
      NoteUse(&(*record)->session);
    }
    found = std::move((*record)->session);
  }
  // A failure costs a use, not the request.
  if (Status written = UsesAreDue() ? WriteUses() : Status(); !written) {
    Log(Level::kWarning, "session_uses_not_written", {{"error", written.error().ToString()}});
  }
  return found;
}

void LmdbSessions::MoveExpiry(Record* record, WallTime used) const {
  if (used <= record->session.used) return;
  record->session.used = used;
  record->session.expires = std::min(used + options_.idle, record->ends);
}

void LmdbSessions::NoteUse(Session* session) {
  std::lock_guard lock(uses_mutex_);
  uses_[session->key] = session->used;
}

bool LmdbSessions::UsesAreDue() {
  std::lock_guard lock(uses_mutex_);
  const milliseconds waited = options_.clock() - uses_written_;
  return !uses_.empty() && (waited >= options_.write_uses_after || waited < milliseconds(0));
}

Status LmdbSessions::WriteUses() {
  {
    std::lock_guard lock(uses_mutex_);
    if (uses_.empty()) return {};
  }
  Result<LmdbWriteTxn> txn = file_.BeginWrite();
  if (!txn) return unexpected(std::move(txn.error()));
  Status put = PutUses(*txn);
  return put ? txn->Commit() : put;
}

/// Those noted so far; when the transaction fails they are forgotten.
Status LmdbSessions::PutUses(LmdbWriteTxn& txn) {
  std::unordered_map<Key256, WallTime> uses;
  {
    std::lock_guard lock(uses_mutex_);
    uses.swap(uses_);
    uses_written_ = options_.clock();
  }
  for (const auto& [key, used] : uses) {
    Result<std::optional<Record>> record = Read(txn, key);
    if (!record) return unexpected(std::move(record.error()));
    // Removed meanwhile, or another process has noted a later use.
    if (!*record || (*record)->session.used >= used) continue;
    Result<bool> old = txn.Erase(by_expiry_, ToBytes(ExpiryKey((*record)->session.expires, key)));
    if (!old) return unexpected(std::move(old.error()));
    MoveExpiry(&**record, used);
    if (Status put = Put(txn, **record); !put) return put;
  }
  return {};
}

Status LmdbSessions::RemoveNow(const Key256& key) {
  Result<LmdbWriteTxn> txn = file_.BeginWrite();
  if (!txn) return unexpected(std::move(txn.error()));
  Status erased = Erase(*txn, key);
  return erased ? txn->Commit() : erased;
}

Result<size_t> LmdbSessions::RemoveAllNow(const std::string& account,
                                          const std::optional<Key256>& kept) {
  Result<LmdbWriteTxn> txn = file_.BeginWrite();
  if (!txn) return unexpected(std::move(txn.error()));
  Result<std::vector<Session>> sessions = SessionsOf(*txn, account);
  if (!sessions) return unexpected(std::move(sessions.error()));
  size_t removed = 0;
  for (const Session& session : *sessions) {
    if (kept && session.key == *kept) continue;
    if (Status erased = Erase(*txn, session.key); !erased) {
      return unexpected(std::move(erased.error()));
    }
    ++removed;
  }
  if (Status committed = txn->Commit(); !committed) {
    return unexpected(std::move(committed.error()));
  }
  return removed;
}

Result<std::vector<Session>> LmdbSessions::ListNow(const std::string& account) {
  Result<LmdbReadTxn> txn = file_.BeginRead();
  if (!txn) return unexpected(std::move(txn.error()));
  Result<std::vector<Session>> sessions = SessionsOf(*txn, account);
  if (!sessions) return sessions;
  const WallTime now = options_.clock();
  std::erase_if(*sessions, [&](const Session& session) { return now >= session.expires; });
  std::sort(sessions->begin(), sessions->end(), [](const Session& a, const Session& b) {
    return a.created != b.created ? a.created > b.created : a.key < b.key;
  });
  return sessions;
}

Result<size_t> LmdbSessions::CountNow() {
  Result<LmdbReadTxn> txn = file_.BeginRead();
  if (!txn) return unexpected(std::move(txn.error()));
  return static_cast<size_t>(txn->Entries(sessions_));
}

Result<size_t> LmdbSessions::SweepNow(size_t limit) {
  file_.env().FreeDeadReaders();
  if (Status written = WriteUses(); !written) {
    return unexpected(std::move(written.error()));
  }
  size_t swept = 0;
  while (swept < limit) {
    const size_t wanted = std::min(limit - swept, kRemovedAtOnce);
    Result<LmdbWriteTxn> txn = file_.BeginWrite();
    if (!txn) return unexpected(std::move(txn.error()));
    Result<size_t> ended = EraseEnded(*txn, wanted);
    if (!ended) return ended;
    if (*ended == 0) break;
    if (Status committed = txn->Commit(); !committed) {
      return unexpected(std::move(committed.error()));
    }
    swept += *ended;
    if (*ended < wanted) break;
  }
  return swept;
}

}  // namespace

Result<std::unique_ptr<SessionStore>> OpenLmdbSessions(const std::string& folder,
                                                       const SessionOptions& options) {
  auto store = std::make_unique<LmdbSessions>(options);
  if (Status opened = store->Open(folder); !opened) {
    return Fail(Fault::kOperator, "cannot_open", folder + ": " + opened.error().message);
  }
  return store;
}

}  // namespace nearside::storage

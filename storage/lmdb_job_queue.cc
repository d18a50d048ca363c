#include "storage/lmdb_job_queue.h"

#include <algorithm>
#include <array>

#include "runtime/text_bytes.h"
#include "storage/lmdb_shared_file.h"
#include "storage/stored_integer.h"

namespace nearside::storage {
namespace {

/// Room for as many jobs as the settings allow, with the longest payloads.
constexpr uint64_t kJobMapBytes = uint64_t{4} << 30;
constexpr uint8_t kJobFormat = 1;
constexpr std::string_view kClockRow = "clock";
/// Readings of one clock by two processes may come in another order than they were made.
constexpr milliseconds kClockSlack{1000};

// A job's value: format, state, attempts, due, lease, created, tried, lengths of kind, key and
// error; then these, then the payload.
constexpr size_t kStateAt = 1;
constexpr size_t kAttemptsAt = 2;
constexpr size_t kDueAt = 6;
constexpr size_t kLeaseAt = 14;
constexpr size_t kJobCreatedAt = 22;
constexpr size_t kTriedAt = 30;
constexpr size_t kKindSizeAt = 38;
constexpr size_t kKeySizeAt = 39;
constexpr size_t kErrorSizeAt = 40;
constexpr size_t kTextsAt = 42;

/// A job as it is stored. `due` is by the queue's time: when it may be leased, by whomever; of a
/// leased one when the lease ends.
struct JobRecord {
  Job job;
  WallTime due;
  uint64_t lease = 0;
};

std::string EncodeJob(const JobRecord& record) {
  const Job& job = record.job;
  std::string value(kTextsAt, '\0');
  auto* const at = reinterpret_cast<uint8_t*>(value.data());
  at[0] = kJobFormat;
  at[kStateAt] = static_cast<uint8_t>(job.state);
  PutLittle<int32_t>(at + kAttemptsAt, job.attempts);
  PutLittle<int64_t>(at + kDueAt, ToUnixMillis(record.due));
  PutLittle<uint64_t>(at + kLeaseAt, record.lease);
  PutLittle<int64_t>(at + kJobCreatedAt, ToUnixMillis(job.created));
  PutLittle<int64_t>(at + kTriedAt, ToUnixMillis(job.tried));
  at[kKindSizeAt] = static_cast<uint8_t>(job.kind.size());
  at[kKeySizeAt] = static_cast<uint8_t>(job.key.size());
  PutLittle<uint16_t>(at + kErrorSizeAt, static_cast<uint16_t>(job.error.size()));
  return value + job.kind + job.key + job.error + job.payload;
}

/// nullopt for what another version has written.
std::optional<JobRecord> DecodeJob(uint64_t id, Bytes value) {
  if (value.size() < kTextsAt || value[0] != kJobFormat) return std::nullopt;
  if (value[kStateAt] > static_cast<uint8_t>(JobState::kDead)) return std::nullopt;
  const size_t kind = value[kKindSizeAt];
  const size_t key = value[kKeySizeAt];
  const size_t error = GetLittle<uint16_t>(&value[kErrorSizeAt]);
  if (value.size() < kTextsAt + kind + key + error) return std::nullopt;
  const std::string_view texts = AsText(value.subspan(kTextsAt));
  JobRecord record;
  record.due = FromUnixMillis(GetLittle<int64_t>(&value[kDueAt]));
  record.lease = GetLittle<uint64_t>(&value[kLeaseAt]);
  Job& job = record.job;
  job.id = id;
  job.state = static_cast<JobState>(value[kStateAt]);
  job.attempts = GetLittle<int32_t>(&value[kAttemptsAt]);
  job.created = FromUnixMillis(GetLittle<int64_t>(&value[kJobCreatedAt]));
  job.tried = FromUnixMillis(GetLittle<int64_t>(&value[kTriedAt]));
  job.kind = texts.substr(0, kind);
  job.key = texts.substr(kind, key);
  job.error = texts.substr(kind + key, error);
  job.payload = texts.substr(kind + key + error);
  return record;
}

std::string JobIdKey(uint64_t id) {
  std::string key(sizeof id, '\0');
  PutBig<uint64_t>(reinterpret_cast<uint8_t*>(key.data()), id);
  return key;
}
uint64_t JobIdAt(Bytes key, size_t at) {
  return key.size() >= at + sizeof(uint64_t) ? GetBig<uint64_t>(&key[at]) : 0;
}
std::string DueKey(WallTime due, uint64_t id) {
  return JobIdKey(static_cast<uint64_t>(std::max<int64_t>(0, ToUnixMillis(due)))) + JobIdKey(id);
}

/// The queue's clock and numbers, one row.
struct ClockRow {
  uint64_t last_id = 0;
  uint64_t last_lease = 0;
  WallTime seen;              ///< the latest reading by the queue's time
  milliseconds ahead{0};      ///< of the queue's time before the machine's
  bool was_set_back = false;  ///< not stored: this reading has moved `ahead`
};

/// How many jobs of a kind are in each JobState.
using CountCells = std::array<uint64_t, 3>;

class LmdbJobs final : public JobQueue {
 public:
  explicit LmdbJobs(const JobQueueOptions& options) : options_(options) {}
  Status Open(const std::string& folder);

  Result<size_t> Put(std::span<const NewJob> jobs) override {
    return file_.Do([&] { return PutNow(jobs); });
  }
  Result<std::optional<LeasedJob>> Lease(milliseconds time) override {
    return file_.Do([&] { return LeaseNow(time); });
  }
  Status Renew(const JobLease& lease, milliseconds time) override {
    return file_.Do([&] { return RenewNow(lease, time); });
  }
  Status Done(const JobLease& lease) override {
    return file_.Do([&] { return DoneNow(lease); });
  }
  Result<bool> Fail(const JobLease& lease, std::string_view error) override {
    return file_.Do([&] { return FailNow(lease, error); });
  }
  Status GiveBack(const JobLease& lease) override {
    return file_.Do([&] { return GiveBackNow(lease); });
  }
  Result<std::vector<Job>> List(bool dead, uint64_t after, size_t limit) override {
    return file_.Do([&] { return ListNow(dead, after, limit); });
  }
  Result<Job> Retry(uint64_t id) override {
    return file_.Do([&] { return RetryNow(id); });
  }
  Result<std::vector<JobCount>> Counts() override {
    return file_.Do([&] { return CountsNow(); });
  }

 private:
  Result<size_t> PutNow(std::span<const NewJob> jobs);
  Result<std::optional<LeasedJob>> LeaseNow(milliseconds time);
  Status RenewNow(const JobLease& lease, milliseconds time);
  Status DoneNow(const JobLease& lease);
  Result<bool> FailNow(const JobLease& lease, std::string_view error);
  Status GiveBackNow(const JobLease& lease);
  Result<std::vector<Job>> ListNow(bool dead, uint64_t after, size_t limit);
  Result<Job> RetryNow(uint64_t id);
  Result<std::vector<JobCount>> CountsNow();

  /// A write transaction with the clock's row, which is written with the commit.
  struct Work {
    LmdbWriteTxn txn;
    ClockRow clock;
    WallTime now;  ///< the queue's time
  };
  Result<Work> Begin();
  Status Commit(Work& work);
  Result<ClockRow> ReadClock(const LmdbTxn& txn) const;
  Result<bool> HasDue();
  Result<std::optional<std::string>> FirstDue(const LmdbTxn& txn, WallTime now) const;
  Result<std::optional<JobRecord>> Read(const LmdbTxn& txn, LmdbTable table, uint64_t id) const;
  /// The job of a lease that holds.
  Result<JobRecord> Leased(const LmdbTxn& txn, const JobLease& lease) const;
  Result<bool> PutOne(Work& work, const NewJob& job);
  /// What it is, and what it is to be: another state, another time.
  Status Move(Work& work, const JobRecord& before, const JobRecord& after);
  /// With its key.
  Status Erase(Work& work, const JobRecord& record);
  Status Bury(Work& work, const JobRecord& before, std::string_view error);
  Status Count(Work& work, const Job& job, int by);
  Status RefuseFull(const Work& work) const;
  static LmdbTable TableOf(const LmdbJobs& jobs, JobState state) {
    return state == JobState::kDead ? jobs.dead_ : jobs.jobs_;
  }

  const JobQueueOptions options_;
  LmdbSharedFile file_;
  LmdbTable jobs_;    ///< id → job that waits or is leased
  LmdbTable dead_;    ///< id → dead job
  LmdbTable due_;     ///< due, id → nothing, of those in jobs_
  LmdbTable keys_;    ///< key → id, of both
  LmdbTable counts_;  ///< kind → how many wait, run, are dead
  LmdbTable clock_;   ///< "clock" → ClockRow
};

Status LmdbJobs::Open(const std::string& folder) {
  const std::pair<const char*, LmdbTable*> tables[] = {{"jobs", &jobs_},     {"dead", &dead_},
                                                       {"due", &due_},       {"keys", &keys_},
                                                       {"counts", &counts_}, {"clock", &clock_}};
  return file_.Open({.folder = folder,
                     .name = "jobs.lmdb",
                     .map_bytes = kJobMapBytes,
                     .event = "job_queue_damaged"},
                    tables);
}

Result<ClockRow> LmdbJobs::ReadClock(const LmdbTxn& txn) const {
  constexpr size_t kBytes = 4 * sizeof(uint64_t);
  Result<std::optional<Bytes>> value = txn.Get(clock_, AsBytes(kClockRow));
  if (!value) return unexpected(std::move(value.error()));
  ClockRow row;
  if (!*value || (*value)->size() < kBytes) return row;
  const uint8_t* const at = (*value)->data();
  row.last_id = GetLittle<uint64_t>(at);
  row.last_lease = GetLittle<uint64_t>(at + 8);
  row.seen = FromUnixMillis(GetLittle<int64_t>(at + 16));
  row.ahead = milliseconds(GetLittle<int64_t>(at + 24));
  return row;
}

Result<LmdbJobs::Work> LmdbJobs::Begin() {
  Result<LmdbWriteTxn> txn = file_.BeginWrite();
  if (!txn) return unexpected(std::move(txn.error()));
  Result<ClockRow> clock = ReadClock(*txn);
  if (!clock) return unexpected(std::move(clock.error()));
  // Read while no other process can: it never goes back unless it was set back.
  WallTime now = options_.clock() + clock->ahead;
  if (now < clock->seen) {
    clock->ahead += clock->seen - now;
    clock->was_set_back = true;
    now = clock->seen;
  }
  clock->seen = now;
  return Work{std::move(*txn), *clock, now};
}

Status LmdbJobs::Commit(Work& work) {
  std::array<uint8_t, 4 * sizeof(uint64_t)> row{};
  PutLittle<uint64_t>(row.data(), work.clock.last_id);
  PutLittle<uint64_t>(row.data() + 8, work.clock.last_lease);
  PutLittle<int64_t>(row.data() + 16, ToUnixMillis(work.clock.seen));
  PutLittle<int64_t>(row.data() + 24, work.clock.ahead.count());
  if (Status put = work.txn.Put(clock_, AsBytes(kClockRow), row); !put) return put;
  return work.txn.Commit();
}

Result<std::optional<JobRecord>> LmdbJobs::Read(const LmdbTxn& txn, LmdbTable table,
                                                uint64_t id) const {
  Result<std::optional<Bytes>> value = txn.Get(table, AsBytes(JobIdKey(id)));
  if (!value) return unexpected(std::move(value.error()));
  if (!*value) return std::nullopt;
  return DecodeJob(id, **value);
}

Result<JobRecord> LmdbJobs::Leased(const LmdbTxn& txn, const JobLease& lease) const {
  Result<std::optional<JobRecord>> record = Read(txn, jobs_, lease.job);
  if (!record) return unexpected(std::move(record.error()));
  if (!*record || (*record)->job.state != JobState::kRunning || (*record)->lease != lease.number) {
    return nearside::Fail(Fault::kClient, "lease_lost",
                          "job " + std::to_string(lease.job) + " is no longer leased to this one");
  }
  return std::move(**record);
}

Status LmdbJobs::Count(Work& work, const Job& job, int by) {
  CountCells cells{};
  Result<std::optional<Bytes>> value = work.txn.Get(counts_, AsBytes(job.kind));
  if (!value) return unexpected(std::move(value.error()));
  std::array<uint8_t, sizeof cells> row{};
  if (*value && (*value)->size() == row.size())
    std::copy_n((*value)->begin(), row.size(), row.begin());
  uint8_t* const at = row.data() + sizeof(uint64_t) * static_cast<size_t>(job.state);
  PutLittle<uint64_t>(at,
                      GetLittle<uint64_t>(at) + static_cast<uint64_t>(static_cast<int64_t>(by)));
  return work.txn.Put(counts_, AsBytes(job.kind), row);
}

Status LmdbJobs::Move(Work& work, const JobRecord& before, const JobRecord& after) {
  const uint64_t id = before.job.id;
  const LmdbTable from = TableOf(*this, before.job.state);
  const LmdbTable to = TableOf(*this, after.job.state);
  Result<bool> erased = true;
  if (from.handle == jobs_.handle) erased = work.txn.Erase(due_, AsBytes(DueKey(before.due, id)));
  if (erased && from.handle != to.handle) erased = work.txn.Erase(from, AsBytes(JobIdKey(id)));
  if (!erased) return unexpected(std::move(erased.error()));
  Status done = work.txn.Put(to, AsBytes(JobIdKey(id)), AsBytes(EncodeJob(after)));
  if (done && to.handle == jobs_.handle) {
    done = work.txn.Put(due_, AsBytes(DueKey(after.due, id)), {});
  }
  if (done) done = Count(work, before.job, -1);
  if (done) done = Count(work, after.job, 1);
  return done;
}

Status LmdbJobs::Erase(Work& work, const JobRecord& record) {
  const uint64_t id = record.job.id;
  const LmdbTable table = TableOf(*this, record.job.state);
  Result<bool> erased = work.txn.Erase(table, AsBytes(JobIdKey(id)));
  if (erased) erased = work.txn.Erase(keys_, AsBytes(record.job.key));
  if (erased && table.handle == jobs_.handle) {
    erased = work.txn.Erase(due_, AsBytes(DueKey(record.due, id)));
  }
  if (!erased) return unexpected(std::move(erased.error()));
  return Count(work, record.job, -1);
}

Status LmdbJobs::RefuseFull(const Work& work) const {
  if (work.txn.Entries(jobs_) < options_.most) return {};
  return nearside::Fail(Fault::kSelf, "job_queue_full",
                        "the queue holds " + std::to_string(options_.most) +
                            " jobs, as many as jobs.most allows: try again later");
}

/// Whether there was none of this key.
Result<bool> LmdbJobs::PutOne(Work& work, const NewJob& job) {
  Result<std::optional<Bytes>> known = work.txn.Get(keys_, AsBytes(job.key));
  if (!known) return unexpected(std::move(known.error()));
  if (*known) return false;
  if (Status room = RefuseFull(work); !room) return unexpected(std::move(room.error()));
  JobRecord record;
  record.job.id = ++work.clock.last_id;
  record.job.kind = job.kind;
  record.job.key = job.key;
  record.job.payload = job.payload;
  record.job.created = options_.clock();
  record.due = work.now + std::max(job.delay, milliseconds(0));
  const std::string id = JobIdKey(record.job.id);
  Status put = work.txn.PutLast(jobs_, AsBytes(id), AsBytes(EncodeJob(record)));
  if (put) put = work.txn.Put(keys_, AsBytes(job.key), AsBytes(id));
  if (put) put = work.txn.Put(due_, AsBytes(DueKey(record.due, record.job.id)), {});
  if (put) put = Count(work, record.job, 1);
  if (!put) return unexpected(std::move(put.error()));
  return true;
}

Result<size_t> LmdbJobs::PutNow(std::span<const NewJob> jobs) {
  for (const NewJob& job : jobs) {
    if (Status good = CheckJob(job); !good) return unexpected(std::move(good.error()));
  }
  Result<Work> work = Begin();
  if (!work) return unexpected(std::move(work.error()));
  size_t added = 0;
  for (const NewJob& job : jobs) {
    Result<bool> put = PutOne(*work, job);
    if (!put) return unexpected(std::move(put.error()));
    if (*put) ++added;
  }
  if (added == 0) return added;
  if (Status committed = Commit(*work); !committed) return unexpected(std::move(committed.error()));
  return added;
}

Result<std::optional<std::string>> LmdbJobs::FirstDue(const LmdbTxn& txn, WallTime now) const {
  Result<LmdbCursor> cursor = txn.Open(due_);
  if (!cursor) return unexpected(std::move(cursor.error()));
  Result<std::optional<LmdbEntry>> first = cursor->First();
  if (!first) return unexpected(std::move(first.error()));
  if (!*first || JobIdAt((*first)->key, 0) > static_cast<uint64_t>(ToUnixMillis(now))) {
    return std::nullopt;
  }
  return std::string(AsText((*first)->key));
}

/// Whether there is something to lease, or the clock was set back. Asked without a lock: most of
/// the time there is nothing.
Result<bool> LmdbJobs::HasDue() {
  Result<LmdbReadTxn> txn = file_.BeginRead();
  if (!txn) return unexpected(std::move(txn.error()));
  Result<ClockRow> clock = ReadClock(*txn);
  if (!clock) return unexpected(std::move(clock.error()));
  const WallTime now = options_.clock() + clock->ahead;
  if (now + kClockSlack < clock->seen) return true;
  Result<std::optional<std::string>> first = FirstDue(*txn, std::max(now, clock->seen));
  if (!first) return unexpected(std::move(first.error()));
  return first->has_value();
}

Result<std::optional<LeasedJob>> LmdbJobs::LeaseNow(milliseconds time) {
  Result<bool> any = HasDue();
  if (!any) return unexpected(std::move(any.error()));
  if (!*any) return std::nullopt;
  Result<Work> work = Begin();
  if (!work) return unexpected(std::move(work.error()));
  std::optional<LeasedJob> leased;
  bool changed = work->clock.was_set_back;
  while (!leased) {
    Result<std::optional<std::string>> place = FirstDue(work->txn, work->now);
    if (!place) return unexpected(std::move(place.error()));
    if (!*place) break;
    changed = true;
    const uint64_t id = JobIdAt(AsBytes(**place), sizeof(uint64_t));
    Result<std::optional<JobRecord>> before = Read(work->txn, jobs_, id);
    if (!before) return unexpected(std::move(before.error()));
    if (!*before) {
      // What another version has written must not stand before all others.
      Result<bool> skipped = work->txn.Erase(due_, AsBytes(**place));
      if (!skipped) return unexpected(std::move(skipped.error()));
      continue;
    }
    if ((*before)->job.attempts >= options_.attempts) {
      Status buried = Bury(*work, **before, "whoever had it was not heard of any more");
      if (!buried) return unexpected(std::move(buried.error()));
      continue;
    }
    JobRecord after = **before;
    after.job.state = JobState::kRunning;
    ++after.job.attempts;
    after.job.tried = options_.clock();
    after.lease = ++work->clock.last_lease;
    after.due = work->now + time;
    Status moved = Move(*work, **before, after);
    if (!moved) return unexpected(std::move(moved.error()));
    leased = LeasedJob{after.job, {after.job.id, after.lease}};
  }
  Status committed = changed ? Commit(*work) : Status();
  if (!committed) return unexpected(std::move(committed.error()));
  return leased;
}

/// The oldest dead one makes room.
Status LmdbJobs::Bury(Work& work, const JobRecord& before, std::string_view error) {
  if (work.txn.Entries(dead_) >= std::max<size_t>(options_.most_dead, 1)) {
    Result<LmdbCursor> cursor = work.txn.Open(dead_);
    if (!cursor) return unexpected(std::move(cursor.error()));
    Result<std::optional<LmdbEntry>> first = cursor->First();
    if (!first) return unexpected(std::move(first.error()));
    std::optional<JobRecord> oldest;
    if (*first) oldest = DecodeJob(JobIdAt((*first)->key, 0), (*first)->value);
    if (oldest) {
      if (Status erased = Erase(work, *oldest); !erased) return erased;
    }
  }
  JobRecord after = before;
  after.job.state = JobState::kDead;
  after.job.error = error.substr(0, kJobErrorBytes);
  after.lease = 0;
  return Move(work, before, after);
}

Status LmdbJobs::RenewNow(const JobLease& lease, milliseconds time) {
  Result<Work> work = Begin();
  if (!work) return unexpected(std::move(work.error()));
  Result<JobRecord> before = Leased(work->txn, lease);
  if (!before) return unexpected(std::move(before.error()));
  JobRecord after = *before;
  after.due = work->now + time;
  Status done = Move(*work, *before, after);
  return done ? Commit(*work) : done;
}

Status LmdbJobs::DoneNow(const JobLease& lease) {
  Result<Work> work = Begin();
  if (!work) return unexpected(std::move(work.error()));
  Result<JobRecord> record = Leased(work->txn, lease);
  if (!record) return unexpected(std::move(record.error()));
  Status done = Erase(*work, *record);
  return done ? Commit(*work) : done;
}

Result<bool> LmdbJobs::FailNow(const JobLease& lease, std::string_view error) {
  Result<Work> work = Begin();
  if (!work) return unexpected(std::move(work.error()));
  Result<JobRecord> before = Leased(work->txn, lease);
  if (!before) return unexpected(std::move(before.error()));
  const bool dies = before->job.attempts >= options_.attempts;
  Status done;
  if (dies) {
    done = Bury(*work, *before, error);
  } else {
    JobRecord after = *before;
    after.job.state = JobState::kWaiting;
    after.job.error = error.substr(0, kJobErrorBytes);
    after.lease = 0;
    after.due = work->now + BackoffAfter(after.job.attempts, options_);
    done = Move(*work, *before, after);
  }
  if (done) done = Commit(*work);
  if (!done) return unexpected(std::move(done.error()));
  return dies;
}

Status LmdbJobs::GiveBackNow(const JobLease& lease) {
  Result<Work> work = Begin();
  if (!work) return unexpected(std::move(work.error()));
  Result<JobRecord> before = Leased(work->txn, lease);
  if (!before) return unexpected(std::move(before.error()));
  JobRecord after = *before;
  after.job.state = JobState::kWaiting;
  --after.job.attempts;
  after.lease = 0;
  after.due = work->now;
  Status done = Move(*work, *before, after);
  return done ? Commit(*work) : done;
}

Result<std::vector<Job>> LmdbJobs::ListNow(bool dead, uint64_t after, size_t limit) {
  Result<LmdbReadTxn> txn = file_.BeginRead();
  if (!txn) return unexpected(std::move(txn.error()));
  Result<LmdbCursor> cursor = txn->Open(dead ? dead_ : jobs_);
  if (!cursor) return unexpected(std::move(cursor.error()));
  std::vector<Job> jobs;
  if (after == UINT64_MAX) return jobs;
  const std::string first = JobIdKey(after + 1);
  for (auto entry = cursor->AtOrAfter(AsBytes(first)); jobs.size() < limit;
       entry = cursor->Next()) {
    if (!entry) return unexpected(std::move(entry.error()));
    if (!*entry) break;
    auto record = DecodeJob(JobIdAt((*entry)->key, 0), (*entry)->value);
    if (record) jobs.push_back(std::move(record->job));
  }
  return jobs;
}

Result<Job> LmdbJobs::RetryNow(uint64_t id) {
  Result<Work> work = Begin();
  if (!work) return unexpected(std::move(work.error()));
  Result<std::optional<JobRecord>> before = Read(work->txn, dead_, id);
  if (!before) return unexpected(std::move(before.error()));
  if (!*before) {
    Result<std::optional<JobRecord>> alive = Read(work->txn, jobs_, id);
    if (!alive) return unexpected(std::move(alive.error()));
    if (!*alive) {
      return nearside::Fail(Fault::kClient, "no_such_job",
                            "there is no job " + std::to_string(id) + ": it is done, or never was");
    }
    return nearside::Fail(Fault::kClient, "job_not_dead",
                          "job " + std::to_string(id) + " is not dead: it will be tried again");
  }
  if (Status room = RefuseFull(*work); !room) return unexpected(std::move(room.error()));
  JobRecord after = **before;
  after.job.state = JobState::kWaiting;
  after.job.attempts = 0;
  after.due = work->now;
  Status done = Move(*work, **before, after);
  if (done) done = Commit(*work);
  if (!done) return unexpected(std::move(done.error()));
  return after.job;
}

Result<std::vector<JobCount>> LmdbJobs::CountsNow() {
  Result<LmdbReadTxn> txn = file_.BeginRead();
  if (!txn) return unexpected(std::move(txn.error()));
  Result<LmdbCursor> cursor = txn->Open(counts_);
  if (!cursor) return unexpected(std::move(cursor.error()));
  std::vector<JobCount> counts;
  for (auto entry = cursor->First();; entry = cursor->Next()) {
    if (!entry) return unexpected(std::move(entry.error()));
    if (!*entry) return counts;
    const Bytes value = (*entry)->value;
    if (value.size() != sizeof(CountCells)) continue;
    counts.push_back({.kind = std::string(AsText((*entry)->key)),
                      .waiting = GetLittle<uint64_t>(&value[0]),
                      .running = GetLittle<uint64_t>(&value[8]),
                      .dead = GetLittle<uint64_t>(&value[16])});
  }
}

}  // namespace

Result<std::unique_ptr<JobQueue>> OpenLmdbJobs(const std::string& folder,
                                               const JobQueueOptions& options) {
  auto queue = std::make_unique<LmdbJobs>(options);
  if (Status opened = queue->Open(folder); !opened) {
    return Fail(Fault::kOperator, "cannot_open", folder + ": " + opened.error().message);
  }
  return queue;
}

}  // namespace nearside::storage

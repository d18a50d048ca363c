#include "origin/fleet.h"

#include <algorithm>
#include <utility>

namespace nearside::origin {
namespace {

/// How old an edge's row may grow while its position stays.
constexpr seconds kStoreEvery{5};

bool HasApplied(storage::LogPosition applied, storage::LogPosition wanted) {
  return applied.epoch == wanted.epoch && applied.sequence >= wanted.sequence;
}

bool AllReachableDone(const Receipt& receipt) {
  return std::all_of(receipt.edges.begin(), receipt.edges.end(),
                     [](const ReceiptLine& line) { return line.done || !line.reachable; });
}

/// Of an edge, as two origins were told.
bool IsLater(const storage::EdgeReport& one, const storage::EdgeReport& other) {
  const bool further = one.applied.epoch == other.applied.epoch && one.applied > other.applied;
  return further || one.seen_at > other.seen_at;
}

}  // namespace

/// A row that is not as it was is another origin's. Where the edge has reported to us as well since
/// the last look, it may be older than that.
Status Fleet::Load() {
  Result<std::vector<storage::EdgeReport>> rows = log_.Edges();
  if (!rows) return unexpected(std::move(rows.error()));
  std::lock_guard lock(mutex_);
  for (storage::EdgeReport& row : *rows) {
    Edge& edge = edges_[row.name];
    if (row.applied == edge.row && row.seen_at == edge.row_at) continue;
    edge.row = row.applied;
    edge.row_at = row.seen_at;
    const bool may_be_older = std::exchange(edge.reports_here, false);
    if (!may_be_older || IsLater(row, edge.report)) edge.report = std::move(row);
  }
  return {};
}

Status Fleet::Report(const std::string& name, storage::LogPosition position, std::string report,
                     WallTime now, std::string_view awaited) {
  // Read after the report came: the log holds all that an edge can have applied.
  Result<storage::LogState> log = log_.Log();
  if (!log) return unexpected(std::move(log.error()));
  if (position.epoch == log->last.epoch && position.sequence > log->last.sequence) position = {};
  storage::EdgeReport to_store;
  bool store = false;
  {
    std::lock_guard lock(mutex_);
    Edge& edge = edges_[name];
    const bool moved = edge.report.name.empty() || edge.report.applied != position;
    if (moved) edge.report.applied_at = now;
    const bool told = edge.awaited != awaited;
    edge.awaited = awaited;
    edge.report.name = name;
    edge.report.applied = position;
    edge.report.seen_at = now;
    edge.report.report = std::move(report);
    edge.reports_here = true;
    store = moved || told || now - edge.row_at >= kStoreEvery || now < edge.row_at;
    if (store) {
      edge.row = position;
      edge.row_at = now;
      to_store = edge.report;
    }
  }
  Settle(now, [](const Waiter&) { return false; });
  return store ? log_.ReportEdge(to_store) : Status();
}

Status Fleet::Remove(const std::string& name, WallTime now) {
  {
    std::lock_guard lock(mutex_);
    edges_.erase(name);
  }
  Settle(now, [](const Waiter&) { return false; });
  return log_.RemoveEdge(name);
}

std::vector<storage::EdgeReport> Fleet::Edges() const {
  std::lock_guard lock(mutex_);
  std::vector<storage::EdgeReport> edges;
  for (const auto& [name, edge] : edges_) edges.push_back(edge.report);
  return edges;
}

bool Fleet::WhenApplied(const Wanted& wanted, WallTime now, std::function<void(Receipt)> done) {
  // Who reports to another origin is not lost, and must be waited for.
  (void)Load();  // a failure shows itself in everything else
  {
    std::lock_guard lock(mutex_);
    if (waiters_.size() >= kWaitingReceipts) return false;
    waiters_.push_back({wanted, std::move(done)});
  }
  Settle(now, [](const Waiter&) { return false; });
  return true;
}

Receipt Fleet::ReceiptOf(storage::LogPosition position, WallTime since, WallTime now) const {
  std::lock_guard lock(mutex_);
  return ReceiptLocked(position, since, now);
}

Receipt Fleet::ReceiptLocked(storage::LogPosition position, WallTime since, WallTime now) const {
  Receipt receipt;
  receipt.position = position;
  receipt.complete = true;
  for (const auto& [name, edge] : edges_) {
    ReceiptLine line;
    line.edge = name;
    line.applied = edge.report.applied;
    line.done = HasApplied(edge.report.applied, position);
    line.reachable = now - edge.report.seen_at < kEdgeLost;
    if (line.done) line.took = std::max(milliseconds(0), edge.report.applied_at - since);
    line.seen_at = edge.report.seen_at;
    receipt.complete &= line.done;
    receipt.edges.push_back(std::move(line));
  }
  return receipt;
}

void Fleet::Settle(WallTime now, const std::function<bool(const Waiter&)>& ended) {
  std::vector<std::pair<std::function<void(Receipt)>, Receipt>> settled;
  {
    std::lock_guard lock(mutex_);
    std::erase_if(waiters_, [&](Waiter& waiter) {
      Receipt receipt = ReceiptLocked(waiter.wanted.position, waiter.wanted.since, now);
      if (!AllReachableDone(receipt) && !ended(waiter)) return false;
      settled.emplace_back(std::move(waiter.done), std::move(receipt));
      return true;
    });
  }
  for (auto& [done, receipt] : settled) done(std::move(receipt));
}

void Fleet::Tick(MonoTime mono_now, WallTime now) {
  if (!waiting()) return;
  (void)Load();  // a failure shows itself in everything else; the next tick tries again
  Settle(now, [&](const Waiter& waiter) { return mono_now >= waiter.wanted.deadline; });
}

bool Fleet::waiting() const {
  std::lock_guard lock(mutex_);
  return !waiters_.empty();
}

void Fleet::EndWaits(WallTime now) {
  Settle(now, [](const Waiter&) { return true; });
}

}  // namespace nearside::origin

#include "origin/newest_sites.h"

#include <set>

namespace nearside::origin {
namespace {

/// With more events than this to go through, all sites are read.
constexpr size_t kMostEvents = 64;

}  // namespace

Status NewestSites::ReadAll() {
  const std::lock_guard lock(mutex_);
  return ReadAllLocked();
}

Status NewestSites::CatchUp() {
  Result<storage::LogState> log = log_.Log();
  if (!log) return unexpected(std::move(log.error()));
  const std::lock_guard lock(mutex_);
  const bool same_log = log->last.epoch == position_.epoch;
  if (same_log && log->last.sequence <= position_.sequence) return {};
  const bool far = !same_log || log->last.sequence - position_.sequence > kMostEvents;
  return far ? ReadAllLocked() : ReadChangedLocked(log->last);
}

/// The position first: what is appended while sites are read is looked at again.
Status NewestSites::ReadAllLocked() {
  Result<storage::LogState> log = log_.Log();
  if (!log) return unexpected(std::move(log.error()));
  if (Status read = read_(""); !read) return read;
  position_ = log->last;
  return {};
}

Status NewestSites::ReadChangedLocked(storage::LogPosition last) {
  Result<std::vector<storage::Event>> events = log_.Events(position_.sequence, kMostEvents);
  if (!events) return unexpected(std::move(events.error()));
  const bool whole = !events->empty() &&
                     events->front().position.sequence == position_.sequence + 1 &&
                     events->back().position >= last;
  if (!whole) return ReadAllLocked();
  std::set<std::string> changed;
  for (const storage::Event& event : *events) changed.insert(event.site);
  for (const std::string& site : changed) {
    if (Status read = read_(site); !read) return read;
  }
  position_ = last;
  return {};
}

}  // namespace nearside::origin

#pragma once

// Events as edges read them (docs/origin.md, "An event"): made here, kept by storage as opaque
// texts. Pure.

#include <string>
#include <string_view>
#include <vector>

#include "http/redirect_rules.h"
#include "storage/metadata.h"

namespace nearside::origin {

/// An event stays below this as JSON; a larger change becomes several.
inline constexpr size_t kEventBytes = 256 << 10;
/// More changed paths than this are told as "all": edges then validate the whole site, which costs
/// less.
inline constexpr size_t kAnnouncedPaths = 20'000;

/// What is to be forgotten of a site. URLs and prefixes are site-relative.
struct Forget {
  std::vector<std::string> urls;
  std::vector<std::string> prefixes;
  std::vector<std::string> tags;
  bool all = false;
  bool soft = false;
};

/// One event or several, each below kEventBytes. `extra` is JSON members to add to each, or "".
std::vector<storage::NewEvent> EventsOf(std::string_view type, const storage::Site& site,
                                        const Forget& forget, std::string_view extra = "");

/// For Metadata::ActivateRelease: every URL that depends on the changed paths is stale, those that
/// the rules of the new release rewrite to one of them included; everything is when the rules
/// changed.
std::vector<storage::NewEvent> AnnounceActivation(const storage::Change& change,
                                                  const http::RedirectRules& rules);
/// For a single asset: replaced ones are stale, removed ones gone, and what is rewritten to them
/// with them. Everything is stale when it is a file of rules.
std::vector<storage::NewEvent> AnnounceAsset(const storage::Change& change, bool removed);
/// For sites: made or changed (everything stale), or deleted (everything gone).
std::vector<storage::NewEvent> AnnounceSite(const storage::Change& change, bool deleted);

/// The whole JSON of an event: its position and time before what is stored.
std::string EventJson(const storage::Event& event);
/// The event as a message of a stream (id, event, data, empty line).
std::string EventMessage(const storage::Event& event);
/// The first message of every stream: where the log stands.
std::string PositionMessage(storage::LogPosition last, WallTime now);

/// "EPOCH:N".
std::string PositionText(storage::LogPosition position);

}  // namespace nearside::origin

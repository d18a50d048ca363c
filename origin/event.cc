#include "origin/event.h"

#include <algorithm>

#include "http/site_rules.h"
#include "origin/answer.h"
#include "origin/asset_path.h"
#include "origin/rules_files.h"

namespace nearside::origin {
namespace {

/// Room for one list of an event; three lists and the rest stay below kEventBytes.
constexpr size_t kListBytes = 64 << 10;

/// Takes strings from the front of `list` (from *next on) until they fill kListBytes.
std::string TakeList(const std::vector<std::string>& list, size_t* next) {
  std::string json = "[";
  while (*next < list.size()) {
    const std::string item = JsonString(list[*next]);
    if (json.size() > 1 && json.size() + item.size() > kListBytes) break;
    if (json.size() > 1) json += ',';
    json += item;
    ++*next;
  }
  return json + "]";
}

std::string_view BoolText(bool value) { return value ? "true" : "false"; }

std::string AllOf(const std::vector<std::string>& list) {
  std::string json = "[";
  for (const std::string& item : list) json += (json.size() > 1 ? "," : "") + JsonString(item);
  return json + "]";
}

/// Everything of an event's JSON behind epoch, seq and time.
std::string BodyOf(std::string_view type, const storage::Site& site, std::string_view lists,
                   const Forget& forget, std::string_view extra) {
  std::string body = "\"type\":" + JsonString(type) + ",\"site\":" + JsonString(site.name) +
                     ",\"hosts\":" + AllOf(site.hosts);
  body += lists;
  body += ",\"all\":";
  body += BoolText(forget.all);
  body += ",\"soft\":";
  body += BoolText(forget.soft);
  if (!extra.empty()) body += ",";
  body += extra;
  return body + "}";
}

/// Any URL may be answered in another way from now on.
bool ChangesRules(const storage::Change& change) {
  return std::any_of(change.paths.begin(), change.paths.end(), http::IsRulesFile);
}

}  // namespace

std::vector<storage::NewEvent> EventsOf(std::string_view type, const storage::Site& site,
                                        const Forget& forget, std::string_view extra) {
  std::vector<storage::NewEvent> events;
  size_t url = 0;
  size_t prefix = 0;
  size_t tag = 0;
  do {
    std::string lists = ",\"urls\":" + TakeList(forget.urls, &url);
    lists += ",\"prefixes\":" + TakeList(forget.prefixes, &prefix);
    lists += ",\"tags\":" + TakeList(forget.tags, &tag);
    events.push_back({std::string(type), site.name, BodyOf(type, site, lists, forget, extra)});
  } while (url < forget.urls.size() || prefix < forget.prefixes.size() || tag < forget.tags.size());
  return events;
}

std::vector<storage::NewEvent> AnnounceActivation(const storage::Change& change,
                                                  const http::RedirectRules& rules) {
  Forget forget;
  forget.soft = true;
  forget.all = change.paths.size() > kAnnouncedPaths || ChangesRules(change);
  if (!forget.all) {
    for (const std::string& path : change.paths) {
      for (std::string& url : UrlsOfAsset(path)) forget.urls.push_back(std::move(url));
      if (rules.MayServe(path)) forget.tags.push_back(RewriteTagOf(path));
    }
  }
  return EventsOf("activate", change.site, forget,
                  "\"release\":\"" + std::to_string(change.release) + "\"");
}

std::vector<storage::NewEvent> AnnounceAsset(const storage::Change& change, bool removed) {
  Forget forget;
  forget.all = ChangesRules(change);
  forget.soft = forget.all || !removed;
  for (const std::string& path : change.paths) {
    for (std::string& url : UrlsOfAsset(path)) forget.urls.push_back(std::move(url));
    // Whether a rule rewrites to it only the database knows at this moment: another origin may have
    // changed the rules.
    forget.tags.push_back(RewriteTagOf(path));
  }
  return EventsOf("purge", change.site, forget);
}

std::vector<storage::NewEvent> AnnounceSite(const storage::Change& change, bool deleted) {
  Forget forget;
  forget.all = true;
  forget.soft = !deleted;
  return EventsOf("site", change.site, forget, "\"deleted\":" + std::string(BoolText(deleted)));
}

std::string PositionText(storage::LogPosition position) {
  return std::to_string(position.epoch) + ":" + std::to_string(position.sequence);
}

std::string EventJson(const storage::Event& event) {
  return "{\"epoch\":" + std::to_string(event.position.epoch) +
         ",\"seq\":" + std::to_string(event.position.sequence) +
         ",\"time\":" + std::to_string(ToUnixMillis(event.time)) + "," + event.body;
}

std::string EventMessage(const storage::Event& event) {
  return "id: " + PositionText(event.position) + "\nevent: " + event.type +
         "\ndata: " + EventJson(event) + "\n\n";
}

std::string PositionMessage(storage::LogPosition last, WallTime now) {
  return "event: position\ndata: {\"epoch\":" + std::to_string(last.epoch) +
         ",\"seq\":" + std::to_string(last.sequence) +
         ",\"time\":" + std::to_string(ToUnixMillis(now)) + ",\"type\":\"position\"}\n\n";
}

}  // namespace nearside::origin

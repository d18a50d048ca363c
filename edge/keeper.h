#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "edge/node.h"
#include "edge/pace.h"
#include "edge/site_keeper.h"
#include "edge/site_preparer.h"
#include "edge/worker.h"
#include "http/session/client.h"
#include "storage/cache_store.h"

namespace nearside::edge {

/// Asks the edge itself for what releases hold, at a pace: to prove by SHA-256 that it serves a new
/// release, and to hold the whole of sites that say so (keep_whole), pinned. Owned by the control
/// loop's thread.
class Keeper {
 public:
  struct Options {
    std::vector<http::Endpoint> origins;  ///< of the fleet; the next one is asked when one fails
    std::string token;
    ByteSize rate;
    /// There is news for the origin; may be empty.
    std::function<void()> told;
  };
  /// `worker` was opened inside, on this thread's loop.
  Keeper(Worker& worker, http::Client& client, Options options);
  ~Keeper();

  /// At first, and with each reload.
  void Use(std::shared_ptr<const Configuration> configuration);
  /// An event of the fleet's log, from the moment that it counts in the store.
  void OnEvent(storage::LogPosition position, std::string_view data);
  /// Events were missed.
  void OnLogCut();
  /// Something of the site was purged here, by whoever runs this edge.
  void OnPurged(const std::string& site);
  /// Of sites that are kept, or that the log has told of a switch of.
  std::vector<KeptState> States() const;
  /// Of a site's release that the log has told to prepare; null: of none.
  const PreparedState* Preparation(const std::string& site) const;
  /// Both as JSON, as reports and /status have it: of events up to `applied` alone.
  std::string StatesJson(storage::LogPosition applied) const;

 private:
  void Poke();
  void Turn();
  void Sweep();
  SiteKeeper* FindOrMake(const std::string& site);
  SitePreparer* FindOrMakePreparer(const std::string& site);
  void OnPrepare(const std::string& site, storage::LogPosition position, std::string release);

  Worker& worker_;
  const Options options_;
  Pace pace_;
  KeeperMeans means_;
  std::shared_ptr<const Configuration> configuration_;
  std::map<std::string, std::unique_ptr<SiteKeeper>> sites_;
  std::map<std::string, std::unique_ptr<SitePreparer>> preparers_;
  bool poked_ = false;
  std::shared_ptr<Keeper*> self_;  ///< null inside once destroyed
};

/// Declares nearside_edge_kept_… read from `states`, which is called on the scraping thread.
void DeclareKeeperMetrics(metrics::Registry& registry,
                          std::function<std::vector<KeptState>()> states);

}  // namespace nearside::edge

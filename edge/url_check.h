#pragma once

// One URL, asked of the edge itself as a visitor would: is it what the release says, and is it
// held?

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "edge/content_list.h"
#include "edge/inside_exchange.h"
#include "edge/node.h"
#include "edge/pace.h"
#include "edge/site.h"

namespace nearside::edge {

class Worker;

/// Where visitors come to: scheme and authority, "https" and "www.example.org".
struct VisitorBase {
  std::string scheme;
  std::string authority;
  bool operator==(const VisitorBase&) const = default;
};

/// Setting keep_at, or what its prose says of an empty one. `hosts`: the site's at the origin.
std::vector<VisitorBase> BasesOf(const Configuration& configuration, const Site& site,
                                 const std::vector<std::string>& hosts);

struct UrlOrder {
  std::shared_ptr<const Configuration> configuration;
  const Site* site = nullptr;  ///< of the configuration
  ContentRow row;
  std::vector<VisitorBase> bases;  ///< asked one after the other; not empty
  bool keep = false;               ///< pin what answers, or unpin what is gone
};

struct UrlVerdict {
  std::string why;      ///< "": as it should be, and held if that was wanted; else in a few words
  std::string sha256;   ///< of what the first base served, where the row has one
  bool gone = false;    ///< there is none of it: 404, 410
  bool failed = false;  ///< nothing can be said of it, as an origin fails
  /// Asking again may help.
  bool again = false;
};

/// Owned by the control loop's thread. Destroying it gives it up.
class UrlCheck final : public net::Disposable {
 public:
  struct Callbacks {
    /// What is about to be pinned.
    std::function<void(const std::vector<Key256>&)> keys;
    /// All that it asks for has been answered; what is left to wait for is the disk.
    std::function<void()> asked;
    /// Once, and not from inside the constructor; it may have this disposed later.
    std::function<void(UrlVerdict)> done;
  };
  /// `worker` is one that was opened inside.
  UrlCheck(Worker& worker, Pace& pace, UrlOrder order, Callbacks callbacks);
  ~UrlCheck() override;
  bool is_asking() const { return asking_; }

 private:
  void AskNext();
  void OnAnswer(InsideAnswer answer);
  bool IsAsItShould(const InsideAnswer& answer);
  void Find(const Key256& key, void (UrlCheck::*then)(storage::HeadRef));
  void OnPrimary(storage::HeadRef head);
  void OnVariant(storage::HeadRef head);
  void OnHead(storage::HeadRef head);
  void ListKeys(const storage::CachedHead& head);
  void Pin();
  void OnPinned(storage::PinOutcome outcome);
  void NextBase();
  void EndAsking();
  void Finish();

  Worker& worker_;
  Pace& pace_;
  const UrlOrder order_;
  Callbacks callbacks_;
  std::unique_ptr<InsideExchange> exchange_;
  size_t base_ = 0;
  http::RequestHead request_;
  Key256 primary_;
  std::vector<Key256> variants_;  ///< that are to be looked at, the last one first
  std::vector<Key256> keys_;
  size_t pins_ = 0;  ///< that wait for the disk
  bool asking_ = true;
  UrlVerdict verdict_;
  std::shared_ptr<UrlCheck*> self_;  ///< null inside once destroyed, for answers of the store
};

}  // namespace nearside::edge

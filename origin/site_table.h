#pragma once

#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_map>

#include "origin/visitor.h"
#include "storage/metadata.h"

namespace nearside::origin {

/// The sites by their hosts, as of the newest change: what visitors' requests are looked up in. Any
/// thread.
class SiteTable {
 public:
  explicit SiteTable(storage::Metadata& metadata) : metadata_(metadata) {}
  /// Reads all sites anew; an error leaves the old ones.
  Status Refresh();
  /// Reads one site anew; it leaves the table when it is gone.
  Status Refresh(const std::string& name);
  /// Null when no site has this host (lower case, no port).
  std::shared_ptr<const storage::Site> FindHost(std::string_view host) const;
  size_t size() const;

 private:
  using SitePointer = std::shared_ptr<const storage::Site>;
  struct Snapshot {
    std::unordered_map<std::string, SitePointer> by_host;
    std::unordered_map<std::string, SitePointer> by_name;
    void Add(storage::Site site);
    void Remove(const std::string& name);
  };
  std::shared_ptr<const Snapshot> snapshot() const;
  void Publish(std::shared_ptr<const Snapshot> fresh);

  storage::Metadata& metadata_;
  std::mutex refresh_mutex_;  ///< an older reading never replaces a newer one
  mutable std::mutex mutex_;
  std::shared_ptr<const Snapshot> snapshot_ = std::make_shared<Snapshot>();
};

/// The assets of the release that was active when the request was read.
class ReleaseContent final : public SiteContent {
 public:
  ReleaseContent(storage::Metadata& metadata, std::shared_ptr<const storage::Site> site,
                 const storage::Retention& kept)
      : metadata_(metadata), site_(std::move(site)), kept_(kept) {}
  Result<std::optional<storage::Asset>> Find(const std::string& path) override;
  Result<std::optional<storage::Asset>> FindEarlier(const std::string& path) override;

 private:
  storage::Metadata& metadata_;
  const std::shared_ptr<const storage::Site> site_;
  const storage::Retention kept_;
};

}  // namespace nearside::origin

#pragma once

#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_map>

#include "origin/rules_files.h"
#include "origin/visitor.h"
#include "storage/blob_store.h"
#include "storage/metadata.h"

namespace nearside::origin {

/// A site as visitors get it: its active release, and the rules that this release brings.
/// Immutable.
struct ServedSite : storage::Site {
  RulesFiles rules_files;
  std::shared_ptr<const http::SiteRules> rules;  ///< never null
};
using ServedSitePointer = std::shared_ptr<const ServedSite>;

/// The sites by their hosts, as of the newest change: what visitors' requests are looked up in. Any
/// thread.
class SiteTable {
 public:
  SiteTable(storage::Metadata& metadata, const storage::BlobStore& blobs)
      : metadata_(metadata), blobs_(blobs) {}
  /// Reads all sites anew; an error leaves the old ones.
  Status Refresh();
  /// Reads one site anew; it leaves the table when it is gone.
  Status Refresh(const std::string& name);
  /// Null when no site has this host (lower case, no port).
  ServedSitePointer FindHost(std::string_view host) const;
  size_t size() const;

 private:
  struct Snapshot {
    std::unordered_map<std::string, ServedSitePointer> by_host;
    std::unordered_map<std::string, ServedSitePointer> by_name;
    void Add(ServedSitePointer site);
    void Remove(const std::string& name);
    ServedSitePointer Find(const std::string& name) const;
  };
  std::shared_ptr<const Snapshot> snapshot() const;
  void Publish(std::shared_ptr<const Snapshot> fresh);
  /// With the rules of its active release; those of `before` (may be null) when the files are the
  /// same. Files that are wrong, which an older version may have let in, are no rules.
  Result<ServedSitePointer> Serve(storage::Site site, const ServedSitePointer& before) const;

  storage::Metadata& metadata_;
  const storage::BlobStore& blobs_;
  std::mutex refresh_mutex_;  ///< an older reading never replaces a newer one
  mutable std::mutex mutex_;
  std::shared_ptr<const Snapshot> snapshot_ = std::make_shared<Snapshot>();
};

/// The assets of the release that was active when the request was read.
class ReleaseContent : public SiteContent {
 public:
  ReleaseContent(storage::Metadata& metadata, ServedSitePointer site,
                 const storage::Retention& kept)
      : metadata_(metadata), site_(std::move(site)), kept_(kept) {}
  Result<std::optional<storage::Asset>> Find(const std::string& path) override;
  Result<std::optional<storage::Asset>> FindEarlier(const std::string& path) override;
  Result<std::vector<storage::BlobVariant>> Variants(const storage::BlobId& content) override {
    return metadata_.Variants(content);
  }
  const http::SiteRules& rules() const override { return *site_->rules; }

 private:
  storage::Metadata& metadata_;
  const ServedSitePointer site_;
  const storage::Retention kept_;
};

}  // namespace nearside::origin

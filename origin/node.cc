#include "origin/node.h"

#include <algorithm>

#include "runtime/log.h"

namespace nearside::origin {

void NodeCounters::Count(RequestKind kind, int status) {
  const auto status_class = static_cast<size_t>(std::clamp(status / 100, 0, 5));
  answers[static_cast<size_t>(kind)][status_class].fetch_add(1, std::memory_order_relaxed);
  if (status == 401 || status == 403) ++denied;
}

Node::Node(OriginSettings s, std::unique_ptr<storage::Metadata> m,
           std::unique_ptr<storage::BlobStore> b, Tokens t)
    : settings(std::move(s)),
      metadata(std::move(m)),
      blobs(std::move(b)),
      sites(*metadata),
      fleet(*metadata),
      tokens_(std::make_shared<const Tokens>(std::move(t))) {}

Result<std::unique_ptr<Node>> Node::Open(const OriginSettings& settings, Tokens tokens) {
  storage::MetadataOptions options;
  options.keep_events = static_cast<uint64_t>(settings.events.keep);
  auto metadata = storage::Metadata::Open(settings.storage.metadata, options);
  if (!metadata) return settings.storage.where.Refuse("metadata", metadata.error());
  auto blobs = storage::BlobStore::Open(settings.storage.blobs);
  if (!blobs) return settings.storage.where.Refuse("blobs", blobs.error());
  auto node =
      std::make_unique<Node>(settings, std::move(*metadata), std::move(*blobs), std::move(tokens));
  Status read = node->sites.Refresh();
  if (read) read = node->fleet.Load();
  if (!read) return settings.storage.where.Refuse("metadata", read.error());
  return node;
}

std::shared_ptr<const Tokens> Node::tokens() const {
  std::lock_guard lock(tokens_mutex_);
  return tokens_;
}

void Node::SetTokens(Tokens tokens) {
  auto fresh = std::make_shared<const Tokens>(std::move(tokens));
  std::lock_guard lock(tokens_mutex_);
  tokens_ = std::move(fresh);
}

void Node::Changed(const std::string& site) {
  ReadSite(site);
  wake_followers();
}

void Node::ReadSite(const std::string& site) {
  if (Status read = site.empty() ? sites.Refresh() : sites.Refresh(site); !read) {
    Log(Level::kError, "site_not_read", {{"site", site}, {"error", read.error().ToString()}});
  }
}

}  // namespace nearside::origin

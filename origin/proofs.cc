#include "origin/proofs.h"

#include <nlohmann/json.hpp>

#include "origin/content_urls.h"
#include "origin/json.h"
#include "origin/node.h"
#include "runtime/log.h"

namespace nearside::origin {
namespace {

/// A report is of 64 KiB at most, and so is what is kept of it.
std::string TextOf(const nlohmann::json& json) {
  return json.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

}  // namespace

void Proofs::Take(Node& node, const std::string& edge, const nlohmann::json& sites, WallTime now) {
  size_t taken = 0;
  for (const nlohmann::json& told : sites) {
    if (++taken > kSitesOfReport) return;
    if (told.is_object()) TakeOne(node, edge, told, now);
  }
}

void Proofs::TakeOne(Node& node, const std::string& edge, const nlohmann::json& told,
                     WallTime now) {
  JsonObject object(told, "bad_report", "what is told of a site");
  const std::string site = object.Text("site");
  const std::string state = object.Text("state");
  const std::string digest = object.Text("digest");
  const storage::LogPosition position{object.Count("epoch").value_or(0),
                                      object.Count("seq").value_or(0)};
  if (!object.status() || site.empty() || position.sequence == 0) return;
  std::string text = TextOf(told);
  {
    std::lock_guard lock(mutex_);
    std::string& last = told_[{edge, site}];
    if (last == text) return;
    last = text;
  }
  const bool proved = state == "proved" || state == "unserved" || state == "off";
  const storage::EdgeProof proof{.edge = edge,
                                 .applied_at = now,
                                 .proved_at = proved ? now : WallTime(),
                                 .report = std::move(text)};
  Result<int64_t> id = node.metadata->NoteProof(site, position, proof);
  Status noted = id ? Status() : Status(unexpected(id.error()));
  if (id && *id != 0 && !digest.empty()) noted = MakeDigest(node, *id);
  if (noted && *id == 0) {
    // Its receipt is not written yet, or there is none any more.
    std::lock_guard lock(mutex_);
    told_.erase({edge, site});
  }
  if (noted) return;
  Log(Level::kWarning, "proof_not_noted",
      {{"edge", edge}, {"site", site}, {"error", noted.error().ToString()}});
  std::lock_guard lock(mutex_);
  told_.erase({edge, site});  // the next report says it again
}

/// Now, while the release is what it was when the edges looked at it; once, whichever edge is the
/// first.
Status Proofs::MakeDigest(Node& node, int64_t id) {
  {
    std::lock_guard lock(mutex_);
    if (!making_.insert(id).second) return {};
  }
  const auto make = [&]() -> Status {
    Result<storage::PublishReceipt> receipt = node.metadata->FindReceipt(id);
    if (!receipt) return unexpected(std::move(receipt.error()));
    if (!receipt->digest.empty()) return {};
    Result<std::string> own = DigestOfChange(node, *receipt);
    if (!own) return unexpected(std::move(own.error()));
    return node.metadata->SetReceiptDigest(id, *own);
  };
  Status made = make();
  std::lock_guard lock(mutex_);
  making_.erase(id);
  return made;
}

void Proofs::Forget(const std::string& edge) {
  std::lock_guard lock(mutex_);
  std::erase_if(told_, [&](const auto& row) { return row.first.first == edge; });
}

}  // namespace nearside::origin

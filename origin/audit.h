#pragma once

// Who changed what, for changes that the event log announces and for the others. The record of an
// announced change is written in the change's own transaction.

#include <string>
#include <string_view>
#include <vector>

#include "origin/caller.h"
#include "storage/metadata.h"

namespace nearside::origin {

/// A change as its handler tells of it.
struct Deed {
  std::string_view action;  ///< "asset_put"
  std::string_view site;    ///< "": of none
  std::string detail;       ///< JSON object, or ""
};

/// `client` is the address that the request came from.
storage::AuditEntry RecordOf(const Caller& caller, std::string_view client, const Deed& deed);

/// The same events, with the record beside the first.
std::vector<storage::NewEvent> Signed(std::vector<storage::NewEvent> events,
                                      storage::AuditEntry record);
storage::Announce Signed(storage::Announce announce, storage::AuditEntry record);

}  // namespace nearside::origin

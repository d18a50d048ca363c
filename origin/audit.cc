#include "origin/audit.h"

#include <utility>

namespace nearside::origin {

storage::AuditEntry RecordOf(const Caller& caller, std::string_view client, const Deed& deed) {
  return {.token = caller.token,
          .name = caller.name,
          .client = std::string(client),
          .action = std::string(deed.action),
          .site = std::string(deed.site),
          .detail = deed.detail};
}

std::vector<storage::NewEvent> Signed(std::vector<storage::NewEvent> events,
                                      storage::AuditEntry record) {
  if (!events.empty()) events.front().audit = std::move(record);
  return events;
}

storage::Announce Signed(storage::Announce announce, storage::AuditEntry record) {
  return [announce = std::move(announce), record = std::move(record)](
             const storage::Change& change) { return Signed(announce(change), record); };
}

}  // namespace nearside::origin

#pragma once

#include <optional>
#include <string>

#include "cli/command.h"

namespace nearside::cli {

struct AuditOptions {
  std::string site;
  int limit = 50;
  std::optional<uint64_t> after;  ///< without: the newest
  bool json = false;
};

/// Who changed what, the newest last.
Exit ShowAudit(CommandContext& context, const AuditOptions& options);

}  // namespace nearside::cli

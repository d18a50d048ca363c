#include "cli/explain.h"

#include <nlohmann/json.hpp>

#include "cli/admin_api.h"

namespace nearside::cli {

Exit Explain(CommandContext& context, const ExplainOptions& options) {
  Result<Json> answer =
      AskAdmin(options.edge, "/explain?url=" + EncodePath(options.url), "an edge");
  if (!answer) return context.Failed(answer.error());
  // Stored fields are bytes from origins: in ASCII none of them is one that a terminal obeys.
  context.terminal.Line(answer->dump(2, ' ', /*ensure_ascii=*/true));
  return Exit::kDone;
}

}  // namespace nearside::cli

#pragma once

#include <cstdint>
#include <string>

#include "cli/command.h"

namespace nearside::cli {

struct ReceiptOptions {
  std::string id;    ///< "": the site's are listed
  std::string site;  ///< of the list
  int64_t limit = 20;
  bool json = false;
};

/// Prints the receipt of a release, or lists those there are.
Exit ShowReceipt(CommandContext& context, const ReceiptOptions& options);

/// After a switch: waits until every edge has proved the release, `wait` ("5s") at most, and prints
/// its receipt. `activation` is the API's answer to the switch. kUnconfirmed unless all have.
Exit AwaitReceipt(CommandContext& context, OriginApi& api, const Json& activation,
                  const std::string& wait);

}  // namespace nearside::cli

#pragma once

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "geodns/zone.h"

namespace nearside::geodns {

/// A zone whose content is another one than before although its serial has not grown (RFC 1982
/// §3.2), which secondaries and monitors go by.
struct SerialNotRaised {
  std::string zone;  ///< "demo.test."
  uint32_t before = 0;
  uint32_t now = 0;
};

std::vector<SerialNotRaised> SerialsNotRaised(std::span<const std::shared_ptr<const Zone>> before,
                                              std::span<const std::shared_ptr<const Zone>> now);

}  // namespace nearside::geodns

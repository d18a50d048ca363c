#pragma once

#include "runtime/settings.h"

namespace nearside::edge {

/// The rows of a [[site]] that say what of a request stands in its key.
void AddKeyRows(settings::Table* site);

}  // namespace nearside::edge

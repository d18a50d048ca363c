#pragma once

#include "runtime/settings.h"

namespace nearside::edge {

/// The rows of a [[site]] that say what of a request stands in its key.
void AddKeyRows(settings::Table* site);
/// Those that say what visitors are told beside what the origin says.
void AddVisitorRows(settings::Table* site);

}  // namespace nearside::edge

#pragma once

#include "geodns/snapshot.h"

namespace nearside::test {

/// Zones d. (not signed), e. (signed) and b.d. below the first, with steered names of every policy,
/// ALIAS records of every kind, and HTTPS records whose hints follow steering; where clients are
/// tells a database that is made here. Cookies are spoken, and amplification is limited. Made once.
const geodns::Snapshot& ServedSnapshot();

}  // namespace nearside::test

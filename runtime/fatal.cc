#include "runtime/fatal.h"

#include <cstdio>
#include <cstdlib>

namespace nearside {

void Fatal(std::string_view what) {
  std::fprintf(stderr, "nearside: bug: %.*s\n", static_cast<int>(what.size()), what.data());
  std::abort();
}

}  // namespace nearside

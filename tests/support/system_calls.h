#pragma once

#include <cstddef>

/// Counts what one thread asks of the system. A program counts when system_calls.cc is among its
/// own sources and the linker leads the calls here (--wrap, as for geodns_test).
namespace nearside::test {

struct SystemCalls {
  size_t accepts = 0;      ///< accept4
  size_t controls = 0;     ///< epoll_ctl
  size_t receives = 0;     ///< recv
  size_t sends = 0;        ///< send
  size_t shutdowns = 0;    ///< shutdown
  size_t set_options = 0;  ///< setsockopt
};

/// Of this thread so far.
SystemCalls CountedCalls();

}  // namespace nearside::test

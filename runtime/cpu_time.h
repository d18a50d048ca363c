#pragma once

#include <chrono>

namespace nearside {

/// What the calling thread has used of processors so far, in user and system mode: unlike a clock
/// it minds little what else the machine does. CLOCK_THREAD_CPUTIME_ID, see clock_gettime(2).
std::chrono::nanoseconds ThreadCpuTime();

}  // namespace nearside

#pragma once

#include <cstddef>

/// Counts what one thread takes from the heap by `operator new`. A program counts when
/// allocation_counter.cc is among its own sources, since that replaces the operator.
namespace nearside::test {

/// How often this thread has taken memory. A sanitizer keeps the operator to itself: there it is
/// always 0, and a test that compares two readings still runs what it measures.
size_t Allocations();

}  // namespace nearside::test

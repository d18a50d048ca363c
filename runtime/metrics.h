#pragma once

// Counters that cost an add: each worker owns a block of plain cells that it alone writes, and a
// scrape sums the blocks. (prometheus-cpp: 10 to 29 ns an increment; this: under 1 ns.)
//
// A metric is declared once, at start, in a Registry; each worker then makes a Cells block of it.
//
//   metrics::Id hits = registry.Counter("nearside_edge_requests_total", "Requests by result.",
//                                       {{"result", "hit"}});
//   cells->Add(hits);

#include <array>
#include <atomic>
#include <cassert>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "runtime/duration_histogram.h"

namespace nearside::metrics {

using Labels = std::vector<std::pair<std::string, std::string>>;

/// A cell's place in every block. Copy freely.
struct Id {
  uint32_t cell = 0;
};
/// A histogram's first cell and its number of buckets. Its cells: one a bound, one for +Inf, the
/// sum.
struct HistogramId {
  uint32_t first_cell = 0;
  uint32_t buckets = 0;            ///< without +Inf
  const double* bounds = nullptr;  ///< upper bounds, owned by the registry
};

class Registry;

/// One writer thread, any number of reading ones: relaxed loads and stores, no read-modify-write.
/// Two writers' blocks share no cache line.
class Cells {
 public:
  explicit Cells(size_t size);
  void Add(Id id, uint64_t n = 1) {
    auto& cell = At(id.cell);
    cell.store(cell.load(std::memory_order_relaxed) + n, std::memory_order_relaxed);
  }
  /// The same value `n` times, for the price of one.
  void Observe(const HistogramId& id, double value, uint64_t n = 1);
  uint64_t Read(Id id) const { return At(id.cell).load(std::memory_order_relaxed); }

 private:
  friend class Registry;
  struct alignas(64) Line {
    std::array<std::atomic<uint64_t>, 8> cells{};
  };
  std::atomic<uint64_t>& At(uint32_t cell) const {
    assert(cell < size_);
    return lines_[cell / 8].cells[cell % 8];
  }
  std::unique_ptr<Line[]> lines_;
  size_t size_;
};

/// Declarations first (main thread), then Cells for each writer (any thread, while the daemon
/// starts), then scrapes (any thread). A counter or histogram declared again is the same one; a new
/// one after the first MakeCells, or a name against Prometheus' rules, is a bug and aborts.
class Registry {
 public:
  Registry();
  ~Registry();
  /// Same name with other labels: another series of one family. Name and help follow Prometheus'
  /// rules.
  Id Counter(std::string_view name, std::string_view help, Labels labels = {});
  /// Bounds in ascending order, in seconds or bytes as the name says; +Inf is added.
  HistogramId Histogram(std::string_view name, std::string_view help, std::vector<double> bounds,
                        Labels labels = {});
  /// A value asked for at each scrape, on the scraping thread: `read` must be thread-safe
  /// and may call Sum(), but nothing else of the registry.
  void Gauge(std::string_view name, std::string_view help, Labels labels,
             std::function<double()> read);
  /// The same for a counter that somebody else keeps (an atomic in the store).
  void CounterFrom(std::string_view name, std::string_view help, Labels labels,
                   std::function<double()> read);
  /// A family whose series come and go with a configuration (sites, origins): all of them are asked
  /// for at each scrape, by the rules of Gauge.
  struct Sample {
    Labels labels;
    double value = 0;
  };
  void GaugesFrom(std::string_view name, std::string_view help,
                  std::function<std::vector<Sample>()> read);
  void CountersFrom(std::string_view name, std::string_view help,
                    std::function<std::vector<Sample>()> read);
  /// The same as CounterFrom for a histogram in seconds, with bounds from 1.024 ms, each double the
  /// last.
  void HistogramFrom(std::string_view name, std::string_view help, Labels labels,
                     std::shared_ptr<const DurationHistogram> histogram);

  /// A block of zeroes for one writer. It is summed as long as the registry lives; the registry
  /// owns it.
  Cells* MakeCells();
  /// Sum of one counter over all blocks.
  uint64_t Sum(Id id) const;
  /// Prometheus text format 0.0.4.
  std::string Expose() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace nearside::metrics

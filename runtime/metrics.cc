#include "runtime/metrics.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <iterator>

#include "runtime/fatal.h"

namespace nearside::metrics {

namespace {

/// Bounds of HistogramFrom: 1.024 ms, doubled. DurationHistogram counts up to these exactly.
constexpr std::chrono::microseconds kLeastDuration{1024};
constexpr unsigned kDurationOctaves = 16;

enum class Kind { kCounter, kGauge, kHistogram };

std::string_view KindName(Kind kind) {
  switch (kind) {
    case Kind::kCounter:
      return "counter";
    case Kind::kGauge:
      return "gauge";
    case Kind::kHistogram:
      return "histogram";
  }
  return "untyped";
}

struct Series {
  Labels labels;
  uint32_t first_cell = 0;
  std::function<double()> read;  ///< set: the value is asked for, and there is no cell
  std::shared_ptr<const DurationHistogram> durations;  ///< the same for a histogram
  std::unique_ptr<double[]> bounds;                    ///< histograms
  uint32_t buckets = 0;
};

struct Family {
  std::string name;
  std::string help;
  Kind kind;
  std::vector<Series> series;
  std::function<std::vector<Registry::Sample>()> read;  ///< set: the series are asked for
};

bool IsName(std::string_view name, bool colon_allowed) {
  if (name.empty() || (name[0] >= '0' && name[0] <= '9')) return false;
  return std::all_of(name.begin(), name.end(), [&](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           (c == ':' && colon_allowed);
  });
}

/// Backslash and line feed everywhere, the quote in label values.
std::string Escape(std::string_view text, bool quotes) {
  std::string out;
  for (const char c : text) {
    if (c == '\\') {
      out += "\\\\";
    } else if (c == '\n') {
      out += "\\n";
    } else if (c == '"' && quotes) {
      out += "\\\"";
    } else {
      out += c;
    }
  }
  return out;
}

std::string Number(double value) {
  if (std::isnan(value)) return "NaN";
  if (std::isinf(value)) return value > 0 ? "+Inf" : "-Inf";
  return fmt::format("{}", value);
}

/// `{a="1",b="2"}`, or nothing without labels. `le` is added last when it is not empty.
std::string LabelText(const Labels& labels, std::string_view le = {}) {
  std::string text;
  for (const auto& [name, value] : labels) {
    text += fmt::format("{}{}=\"{}\"", text.empty() ? "" : ",", name, Escape(value, true));
  }
  if (!le.empty()) text += fmt::format("{}le=\"{}\"", text.empty() ? "" : ",", le);
  return text.empty() ? text : "{" + text + "}";
}

}  // namespace

Cells::Cells(size_t size) : lines_(std::make_unique<Line[]>(size / 8 + 1)), size_(size) {}

void Cells::Observe(const HistogramId& id, double value, uint64_t n) {
  const double* end = id.bounds + id.buckets;
  const auto bucket = static_cast<uint32_t>(std::lower_bound(id.bounds, end, value) - id.bounds);
  Add(Id{id.first_cell + bucket}, n);
  auto& sum = At(id.first_cell + id.buckets + 1);
  const auto old = std::bit_cast<double>(sum.load(std::memory_order_relaxed));
  sum.store(std::bit_cast<uint64_t>(old + value * static_cast<double>(n)),
            std::memory_order_relaxed);
}

struct Registry::State {
  // Two locks, so that a gauge may call Sum() while Expose() walks the families.
  mutable std::mutex families_mutex;
  std::vector<Family> families;
  uint32_t cells = 0;
  mutable std::mutex blocks_mutex;
  std::vector<std::unique_ptr<Cells>> blocks;

  Family& FamilyOf(std::string_view name, std::string_view help, Kind kind);
  Series& Declare(std::string_view name, std::string_view help, Kind kind, Labels labels,
                  uint32_t cell_count);
  uint64_t SumOf(uint32_t cell) const;
  double SumOfDoubles(uint32_t cell) const;
  void ExposeHistogram(const Family& family, const Series& series, std::string& out) const;
  void ExposeDurations(const Family& family, const Series& series, std::string& out) const;
  void ExposeFamily(const Family& family, std::string& out) const;
  void DeclareFamily(std::string_view name, std::string_view help, Kind kind,
                     std::function<std::vector<Sample>()> read);
};

Family& Registry::State::FamilyOf(std::string_view name, std::string_view help, Kind kind) {
  for (Family& family : families) {
    if (family.name != name) continue;
    if (family.kind != kind) Fatal(fmt::format("metric {} is declared with two types", name));
    if (family.read) Fatal(fmt::format("metric {} is declared twice", name));
    return family;
  }
  if (!IsName(name, true)) Fatal(fmt::format("\"{}\" is no metric name", name));
  return families.emplace_back(Family{std::string(name), std::string(help), kind, {}, {}});
}

/// The series of that name and those labels, with `cell_count` cells when it is new. A series
/// without cells is somebody's callback, which can be declared once only.
Series& Registry::State::Declare(std::string_view name, std::string_view help, Kind kind,
                                 Labels labels, uint32_t cell_count) {
  for (const auto& [label, value] : labels) {
    if (!IsName(label, false) || label == "le" || label.starts_with("__")) {
      Fatal(fmt::format("metric {}: \"{}\" is no label name", name, label));
    }
  }
  Family& family = FamilyOf(name, help, kind);
  for (Series& series : family.series) {
    if (series.labels != labels) continue;
    if (cell_count == 0 || series.read || series.durations)
      Fatal(fmt::format("metric {} is declared twice", name));
    return series;
  }
  if (cell_count > 0) {
    const std::lock_guard lock(blocks_mutex);
    if (!blocks.empty()) Fatal(fmt::format("metric {} is declared after MakeCells()", name));
  }
  Series& series = family.series.emplace_back();
  series.labels = std::move(labels);
  series.first_cell = cells;
  cells += cell_count;
  return series;
}

uint64_t Registry::State::SumOf(uint32_t cell) const {
  const std::lock_guard lock(blocks_mutex);
  uint64_t sum = 0;
  for (const auto& block : blocks) sum += block->Read(Id{cell});
  return sum;
}

double Registry::State::SumOfDoubles(uint32_t cell) const {
  const std::lock_guard lock(blocks_mutex);
  double sum = 0;
  for (const auto& block : blocks) sum += std::bit_cast<double>(block->Read(Id{cell}));
  return sum;
}

/// The count is the +Inf bucket's, so that both agree even while writers write.
void Registry::State::ExposeHistogram(const Family& family, const Series& series,
                                      std::string& out) const {
  auto to = std::back_inserter(out);
  uint64_t count = 0;
  for (uint32_t i = 0; i <= series.buckets; ++i) {
    count += SumOf(series.first_cell + i);
    const std::string le = i < series.buckets ? Number(series.bounds[i]) : "+Inf";
    fmt::format_to(to, "{}_bucket{} {}\n", family.name, LabelText(series.labels, le), count);
  }
  const std::string labels = LabelText(series.labels);
  const double sum = SumOfDoubles(series.first_cell + series.buckets + 1);
  fmt::format_to(to, "{}_sum{} {}\n", family.name, labels, Number(sum));
  fmt::format_to(to, "{}_count{} {}\n", family.name, labels, count);
}

void Registry::State::ExposeDurations(const Family& family, const Series& series,
                                      std::string& out) const {
  auto to = std::back_inserter(out);
  const DurationHistogram::Reading reading = series.durations->Read();
  const auto in_seconds = [](DurationHistogram::Duration duration) {
    return Number(std::chrono::duration<double>(duration).count());
  };
  for (unsigned octave = 0; octave < kDurationOctaves; ++octave) {
    const DurationHistogram::Duration bound = kLeastDuration * (1 << octave);
    fmt::format_to(to, "{}_bucket{} {}\n", family.name, LabelText(series.labels, in_seconds(bound)),
                   reading.CountUpTo(bound));
  }
  const std::string labels = LabelText(series.labels);
  fmt::format_to(to, "{}_bucket{} {}\n", family.name, LabelText(series.labels, "+Inf"),
                 reading.count());
  fmt::format_to(to, "{}_sum{} {}\n", family.name, labels, in_seconds(reading.sum()));
  fmt::format_to(to, "{}_count{} {}\n", family.name, labels, reading.count());
}

void Registry::State::ExposeFamily(const Family& family, std::string& out) const {
  auto to = std::back_inserter(out);
  fmt::format_to(to, "# HELP {} {}\n", family.name, Escape(family.help, false));
  fmt::format_to(to, "# TYPE {} {}\n", family.name, KindName(family.kind));
  if (family.read) {
    for (const Sample& sample : family.read()) {
      fmt::format_to(to, "{}{} {}\n", family.name, LabelText(sample.labels), Number(sample.value));
    }
  }
  for (const Series& series : family.series) {
    if (series.durations != nullptr) {
      ExposeDurations(family, series, out);
    } else if (family.kind == Kind::kHistogram) {
      ExposeHistogram(family, series, out);
    } else if (series.read) {
      fmt::format_to(to, "{}{} {}\n", family.name, LabelText(series.labels), Number(series.read()));
    } else {
      fmt::format_to(to, "{}{} {}\n", family.name, LabelText(series.labels),
                     SumOf(series.first_cell));
    }
  }
}

Registry::Registry() : state_(std::make_unique<State>()) {}
Registry::~Registry() = default;

Id Registry::Counter(std::string_view name, std::string_view help, Labels labels) {
  const std::lock_guard lock(state_->families_mutex);
  return Id{state_->Declare(name, help, Kind::kCounter, std::move(labels), 1).first_cell};
}

HistogramId Registry::Histogram(std::string_view name, std::string_view help,
                                std::vector<double> bounds, Labels labels) {
  const std::lock_guard lock(state_->families_mutex);
  const auto buckets = static_cast<uint32_t>(bounds.size());
  const bool ascending =
      std::adjacent_find(bounds.begin(), bounds.end(), std::greater_equal<>()) == bounds.end() &&
      std::all_of(bounds.begin(), bounds.end(), [](double bound) { return std::isfinite(bound); });
  if (!ascending) Fatal(fmt::format("metric {}: its bounds do not ascend", name));
  Series& series = state_->Declare(name, help, Kind::kHistogram, std::move(labels), buckets + 2);
  if (series.bounds == nullptr) {
    series.bounds = std::make_unique<double[]>(buckets);
    std::copy(bounds.begin(), bounds.end(), series.bounds.get());
    series.buckets = buckets;
  } else if (!std::equal(bounds.begin(), bounds.end(), series.bounds.get(),
                         series.bounds.get() + series.buckets)) {
    Fatal(fmt::format("metric {} is declared with two sets of bounds", name));
  }
  return {series.first_cell, series.buckets, series.bounds.get()};
}

void Registry::Gauge(std::string_view name, std::string_view help, Labels labels,
                     std::function<double()> read) {
  const std::lock_guard lock(state_->families_mutex);
  state_->Declare(name, help, Kind::kGauge, std::move(labels), 0).read = std::move(read);
}

void Registry::CounterFrom(std::string_view name, std::string_view help, Labels labels,
                           std::function<double()> read) {
  const std::lock_guard lock(state_->families_mutex);
  state_->Declare(name, help, Kind::kCounter, std::move(labels), 0).read = std::move(read);
}

void Registry::State::DeclareFamily(std::string_view name, std::string_view help, Kind kind,
                                    std::function<std::vector<Sample>()> read) {
  const std::lock_guard lock(families_mutex);
  Family& family = FamilyOf(name, help, kind);
  if (!family.series.empty()) Fatal(fmt::format("metric {} is declared twice", name));
  family.read = std::move(read);
}

void Registry::GaugesFrom(std::string_view name, std::string_view help,
                          std::function<std::vector<Sample>()> read) {
  state_->DeclareFamily(name, help, Kind::kGauge, std::move(read));
}

void Registry::CountersFrom(std::string_view name, std::string_view help,
                            std::function<std::vector<Sample>()> read) {
  state_->DeclareFamily(name, help, Kind::kCounter, std::move(read));
}

void Registry::HistogramFrom(std::string_view name, std::string_view help, Labels labels,
                             std::shared_ptr<const DurationHistogram> histogram) {
  const std::lock_guard lock(state_->families_mutex);
  state_->Declare(name, help, Kind::kHistogram, std::move(labels), 0).durations =
      std::move(histogram);
}

Cells* Registry::MakeCells() {
  const std::lock_guard families_lock(state_->families_mutex);
  const std::lock_guard blocks_lock(state_->blocks_mutex);
  return state_->blocks.emplace_back(std::make_unique<Cells>(state_->cells)).get();
}

uint64_t Registry::Sum(Id id) const { return state_->SumOf(id.cell); }

std::string Registry::Expose() const {
  const std::lock_guard lock(state_->families_mutex);
  std::string out;
  for (const Family& family : state_->families) state_->ExposeFamily(family, out);
  return out;
}

}  // namespace nearside::metrics

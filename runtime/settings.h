#pragma once

// One table describes a daemon's settings: every key is one row with its type, range, default and
// prose. The same rows read the TOML file, check it, name file, line, key and expectation when it
// is wrong, and print docs/configuration.md. (The idea of one row for all of that: varnish's
// params.h, knot's schema.c.)
//
//   struct Cache { std::string path; ByteSize disk; milliseconds keep; };
//   struct EdgeSettings { Cache cache; std::vector<Listen> listen; };
//
//   settings::Table CacheTable() {
//     settings::Table table;
//     table.Key("path", &Cache::path, {.required = true, .prose = "Folder of the cache's files."});
//     table.Key("disk", &Cache::disk,
//               {.fallback = "1GiB", .least = "64MiB", .most = "16TiB", .prose = "…"});
//     return table;
//   }
//   root.Sub("cache", &EdgeSettings::cache, {.prose = "…"}, CacheTable());
//   root.Each("listen", &EdgeSettings::listen, {.prose = "…"}, ListenTable());
//
// toml++ is seen by settings.cc alone. Immutable once built; built and used on the main thread.

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "runtime/result.h"
#include "runtime/settings_types.h"

namespace nearside::settings {

/// What a row says beside its type. Bounds and default are written as in the file ("64MiB", "2s",
/// "10"). A row that refuses its own default or bounds is a bug and aborts when the table is built.
struct Spec {
  /// The key, or table, must be there. A required text or list must not be empty either, unless
  /// `least` says so.
  bool required = false;
  /// The default, as written in a file; for lists "[]" or a comma separated text. Empty and not
  /// required: the member keeps the value it has in a default-constructed struct, and the document
  /// says "none".
  std::string fallback;
  std::string least;  ///< smallest value allowed; for texts and lists, of their length
  std::string most;   ///< largest value allowed; likewise
  std::vector<std::string> one_of;  ///< the only texts allowed, in a list too
  std::string prose;                ///< one or two sentences for docs/configuration.md
  bool restart = false;             ///< a reload cannot change it, which the document says too
  /// A further check of the text, or of each text in a list (numbers: as in the file); returns ""
  /// or what was expected ("an address like \"127.0.0.1:8080\"").
  std::function<std::string(std::string_view)> check;
};

/// Where a table of the file stood, for errors that are found after reading (a missing certificate,
/// a busy port).
struct Origin {
  std::string file;
  int line = 0;                                   ///< of the table
  std::string table;                              ///< its path: "cache"
  std::vector<std::pair<std::string, int>> keys;  ///< those that are written, and their lines

  /// "edge.toml:12: cache.path": where the key is written, or its table's line when it is not.
  std::string Of(std::string_view key) const;
  /// The error with that in front, kOperator.
  tl::unexpected<Error> Refuse(std::string_view key, const Error& error) const;
};

/// The values of the keys that take a restart, by path ("listen.address"), in the file's order.
using RestartValues = std::vector<std::pair<std::string, Parsed>>;
/// The paths whose values differ between two readings, each once.
std::vector<std::string> ChangedKeys(const RestartValues& before, const RestartValues& now);
/// Logs them, if there are any, when a file is read again: event=reload_partial.
void WarnOfRestart(const RestartValues& before, const RestartValues& now);

/// What a row does with a value, and how it finds (or makes) the struct of a table inside.
using Store = std::function<void(void* object, Parsed&& value)>;
using Member = std::function<void*(void* object)>;
struct Rows;

class Table {
 public:
  Table();
  Table(Table&&) noexcept;
  Table& operator=(Table&&) noexcept;
  ~Table();

  /// One key. T: std::string, bool, an integer, double, ByteSize, milliseconds, std::vector of
  /// std::string, int64_t or double, or std::optional of one of these (absent and no default:
  /// empty).
  template <typename S, typename T>
  Table& Key(std::string_view key, T S::*member, const Spec& spec) {
    using Plain = typename WithoutOptional<T>::Of;
    AddKey(key, spec, KindOf<Plain>(), [member](void* object, Parsed&& value) {
      static_cast<S*>(object)->*member =
          static_cast<Plain>(std::get<Held<Plain>>(std::move(value)));
    });
    return *this;
  }
  /// A table inside ([cache], or inline: check = { … }). T: a struct, or std::optional of one
  /// (absent: empty). An absent one that is no optional is read as if it stood there without keys.
  template <typename S, typename T>
  Table& Sub(std::string_view key, T S::*member, const Spec& spec, Table table) {
    AddSub(key, spec, std::move(table),
           [member](void* object) -> void* { return &(static_cast<S*>(object)->*member); });
    return *this;
  }
  template <typename S, typename T>
  Table& Sub(std::string_view key, std::optional<T> S::*member, const Spec& spec, Table table) {
    AddOptionalSub(key, spec, std::move(table), [member](void* object) -> void* {
      return &(static_cast<S*>(object)->*member).emplace();
    });
    return *this;
  }
  /// A list of tables ([[listen]], or override = [{ … }]). Spec.least/most bound their number.
  template <typename S, typename T>
  Table& Each(std::string_view key, std::vector<T> S::*member, const Spec& spec, Table table) {
    AddEach(key, spec, std::move(table), [member](void* object) -> void* {
      return &(static_cast<S*>(object)->*member).emplace_back();
    });
    return *this;
  }
  /// A check across keys of one table, run when all of them are read. Returns "" or a sentence.
  template <typename S>
  Table& Check(std::function<std::string(const S&)> check) {
    AddCheck([check = std::move(check)](const void* object) {
      return check(*static_cast<const S*>(object));
    });
    return *this;
  }
  /// Records where each table stood, for errors that are found after reading (a missing
  /// certificate).
  template <typename S>
  Table& Where(Origin S::*member) {
    AddWhere([member](void* object) -> Origin* { return &(static_cast<S*>(object)->*member); });
    return *this;
  }

  /// In the outermost table: keeps what a reload cannot change, to be compared with ChangedKeys.
  template <typename S>
  Table& KeepRestartValues(RestartValues S::*member) {
    AddKeep(
        [member](void* object) -> RestartValues* { return &(static_cast<S*>(object)->*member); });
    return *this;
  }

  /// Fills `object` (the struct the rows were made for) from TOML text. All errors of the file are
  /// found in one pass and joined by newlines, each "edge.toml:7: cache.disk: expected a size like
  /// \"1GiB\", got 7"; a file that is no TOML has one, of its first bad line. Error: kOperator
  /// bad_settings.
  Status ReadText(std::string_view text, std::string_view file_name, void* object) const;
  /// The same from a file; an unreadable file is kOperator bad_settings too. A file over 4 MiB is
  /// refused.
  Status ReadFile(const std::string& path, void* object) const;

  /// The reference in Markdown: a heading for each table, a row for each key.
  std::string Document(std::string_view title) const;

 private:
  class Reader;
  class Printer;
  void AddKey(std::string_view key, const Spec& spec, Kind kind, Store store);
  void AddSub(std::string_view key, const Spec& spec, Table table, Member member);
  void AddOptionalSub(std::string_view key, const Spec& spec, Table table, Member emplace);
  void AddEach(std::string_view key, const Spec& spec, Table table, Member append);
  void AddCheck(std::function<std::string(const void*)> check);
  void AddWhere(std::function<Origin*(void*)> where);
  void AddKeep(std::function<RestartValues*(void*)> keep);

  std::unique_ptr<Rows> rows_;
};

}  // namespace nearside::settings

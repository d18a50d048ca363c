#pragma once

// The rows of a settings table, for the files settings*.cc alone.

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/settings.h"

namespace nearside::settings {

enum class Shape { kKey, kSub, kOptionalSub, kEach };

/// How a value misses what its row wants: the wrong kind of thing, or the right one out of range.
enum class Miss { kForm, kTooSmall, kTooLarge };

/// What both bounds of a row are compared with: the value itself, or the length of a text or list.
using Bound = std::optional<Parsed>;

struct Rows {
  struct Row {
    std::string key;
    Spec spec;
    Shape shape = Shape::kKey;
    Kind kind;      ///< keys
    Store store;    ///< keys
    Member member;  ///< the struct inside, made when it is optional or one of many
    Table table;    ///< of that struct
    Bound least;
    Bound most;
    std::optional<Parsed> fallback;

    /// Reads spec.least and spec.most. Aborts when they are no values of the row's type.
    void ReadBounds();
    /// Bounds count something: bytes of a text, elements of a list, tables.
    bool IsCounted() const;
    /// Nothing: it is within the bounds.
    std::optional<Miss> OutOfRange(const Parsed& value) const;
    bool Allows(std::string_view text) const;
    /// "a size from 64MiB to 16TiB": for errors.
    std::string Expected(Miss miss) const;
    /// `one of "bypass", "store"`: for errors of a text or an element.
    std::string ExpectedChoice() const;
    /// "text in this list".
    std::string ExpectedElement() const;
    /// "64MiB to 16TiB", "\"bypass\" or \"store\"", or "": for the document.
    std::string Range() const;
  };

  std::vector<Row> rows;
  std::vector<std::function<std::string(const void*)>> checks;
  std::vector<std::function<Origin*(void*)>> wheres;
  std::function<RestartValues*(void*)> keep;

  /// A row with its bounds read. Aborts when the key has one already.
  Row NewRow(std::string_view key, const Spec& spec, Shape shape, Kind kind) const;
  const Row* Find(std::string_view key) const;
  /// The known key that a misspelt one is likely to mean, or "".
  std::string_view Nearest(std::string_view key) const;
  /// All keys, for a misspelt one that is near to none.
  std::string Keys() const;
};

bool IsList(Type type);
/// Of a list.
Type ElementType(Type list);

/// A number, size or duration as a row writes it; other types have no such text. Nothing: it is
/// none.
std::optional<Parsed> ParseBound(Type type, std::string_view text);

/// A default as the row writes it, as the TOML that a file would have: `"1GiB"`, `["a", "b"]`.
std::string Literal(Type type, std::string_view text);

/// A text as TOML writes it, in quotes and with escapes.
std::string Quote(std::string_view text);

}  // namespace nearside::settings

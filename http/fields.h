#pragma once

// Header and trailer fields (RFC 9110 §5): an ordered list of lines. Names are kept in lower case,
// values without surrounding whitespace. All bytes of one list live in an arena whose blocks do not
// move, so a line is two views, a list is iterated without copying, and clearing it keeps the
// memory for the next.

#include <cstdint>
#include <initializer_list>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace nearside::http {

struct FieldLine {
  std::string_view name;
  std::string_view value;
  bool operator==(const FieldLine&) const = default;
};

/// name + value + 32 (RFC 9113 §6.5.2's measure).
constexpr size_t WireSize(const FieldLine& line) {
  return line.name.size() + line.value.size() + 32;
}

/// One thread at a time; immutable ones may be shared. Views stay valid until Clear, assignment or
/// the end of the list (removing a line does not move the bytes of others); a moved-to list keeps
/// them valid.
class Fields {
 public:
  Fields() = default;
  Fields(std::initializer_list<FieldLine> lines);
  Fields(const Fields& other);
  Fields& operator=(const Fields& other);
  Fields(Fields&& other) noexcept;
  Fields& operator=(Fields&& other) noexcept;

  /// Takes memory for a list of so many lines and bytes of text, if it has none yet: as much as is
  /// needed, and at once.
  void Reserve(size_t lines, size_t text_bytes);
  /// Appends a line; the name is lowered. The caller has checked both (parser, or constants of
  /// ours).
  void Add(std::string_view name, std::string_view value);
  /// Replaces every line of that name by one.
  void Set(std::string_view name, std::string_view value);
  /// Removes every line of that name (lower case) and returns how many.
  size_t Remove(std::string_view name);
  /// Removes the lines whose name (lower case) `is_doomed`.
  template <typename Predicate>
  void RemoveIf(Predicate is_doomed) {
    std::erase_if(lines_, [&](const FieldLine& line) {
      if (!is_doomed(line.name)) return false;
      wire_size_ -= WireSize(line);
      return true;
    });
  }
  /// Forgets all lines, keeps the memory.
  void Clear();

  std::span<const FieldLine> lines() const { return lines_; }
  size_t size() const { return lines_.size(); }
  bool empty() const { return lines_.empty(); }
  /// The sum of the lines' WireSize.
  size_t wire_size() const { return wire_size_; }

  bool Has(std::string_view name) const;
  /// The first line's value; nullopt when there is none. `name` in lower case.
  std::optional<std::string_view> Get(std::string_view name) const;
  /// All values of the name joined by ", " (RFC 9110 §5.3); "" when there is none.
  std::string Joined(std::string_view name) const;
  /// "name: value\n" for each line: what tests compare.
  std::string ToText() const;

 private:
  /// So many bytes of the arena.
  char* Room(size_t bytes);
  /// Goes on in the next block with room for so many.
  void TakeBlock(size_t bytes);

  struct Block {
    std::unique_ptr<char[]> bytes;
    size_t size = 0;
  };
  std::vector<FieldLine> lines_;
  std::vector<Block> blocks_;
  size_t block_ = 0;      ///< the next to be filled
  char* free_ = nullptr;  ///< the rest of the one before it
  size_t free_bytes_ = 0;
  size_t wire_size_ = 0;
};

/// The name as a list iterates it: lower-case ASCII letters; other bytes stay.
std::string LowerName(std::string_view name);
/// The same into `out`, of which `name` is no part.
void AssignLowered(std::string_view name, std::string* out);
/// RFC 9110 §5.6.2 token, §5.5 field value (no control characters but tab; obs-text allowed).
bool IsToken(std::string_view text);
bool IsFieldValue(std::string_view text);

}  // namespace nearside::http

#include "runtime/settings.h"

#include <toml++/toml.h>
#include <algorithm>
#include <cmath>
#include <map>
#include <sstream>

#include "runtime/fatal.h"
#include "runtime/file.h"
#include "runtime/log.h"
#include "runtime/settings_rows.h"

namespace nearside::settings {

namespace {

constexpr ByteSize kLargestFile = 4_MiB;
/// A wrong value is quoted in its error up to here.
constexpr size_t kQuotedBytes = 80;

/// What stood in the file, for "got …".
std::string Describe(const toml::node& node) {
  if (const auto* text = node.as_string()) {
    const std::string& value = text->get();
    if (value.size() <= kQuotedBytes) return Quote(value);
    return "text of " + std::to_string(value.size()) + " bytes";
  }
  if (const auto* integer = node.as_integer()) return std::to_string(integer->get());
  if (const auto* boolean = node.as_boolean()) return boolean->get() ? "true" : "false";
  if (const auto* list = node.as_array()) {
    return list->empty() ? "an empty list" : "a list of " + std::to_string(list->size());
  }
  if (node.is_table()) return "a table";
  if (const auto* number = node.as_floating_point()) {
    std::ostringstream out;
    out << *number;
    return out.str();
  }
  return "a date or time";
}

int LineOf(const toml::node& node) { return static_cast<int>(node.source().begin.line); }

/// One value that is no list, in our units. Nothing: it is something else.
std::optional<Parsed> ToScalar(Type type, const toml::node& node) {
  const auto* text = node.as_string();
  switch (type) {
    case Type::kText:
      // A NUL would cut a path off in a system call.
      if (text == nullptr || text->get().find('\0') != std::string::npos) return std::nullopt;
      return Parsed(text->get());
    case Type::kBool:
      if (!node.is_boolean()) return std::nullopt;
      return Parsed(node.as_boolean()->get());
    case Type::kInteger:
      if (!node.is_integer()) return std::nullopt;
      return Parsed(node.as_integer()->get());
    case Type::kNumber: {
      if (!node.is_number()) return std::nullopt;
      const auto number = node.value<double>();
      if (!number || !std::isfinite(*number)) return std::nullopt;
      return Parsed(*number);
    }
    case Type::kSize:
    case Type::kDuration:
      if (text == nullptr) return std::nullopt;
      return ParseBound(type, text->get());
    default:
      return std::nullopt;
  }
}

/// "cache.disk". A key that must be quoted in TOML is quoted here too: it may hold anything.
std::string Join(const std::string& path, std::string_view key) {
  const bool bare = !key.empty() && std::all_of(key.begin(), key.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '-';
  });
  return (path.empty() ? path : path + ".") + (bare ? std::string(key) : Quote(key));
}

}  // namespace

/// One pass over one file: fills objects and collects what is wrong.
class Table::Reader {
 public:
  using Row = Rows::Row;

  explicit Reader(std::string_view file) : file_(file) {}

  Origin OriginOf(const toml::table& table, const std::string& path, int line) const;
  /// `line` is the table's own, for what is missing in it.
  void ReadTable(const Rows& rows, const toml::table& table, const std::string& path, int line,
                 void* object);
  /// Nothing when the value was refused.
  std::optional<Parsed> ReadValue(const Row& row, const toml::node& node, const std::string& path);
  void AddError(int line, const std::string& path, const std::string& text);
  /// All errors in the order of their lines, one a line.
  std::string Errors();
  RestartValues TakeRestartValues() { return std::move(restart_values_); }

 private:
  struct Wrong {
    int line;
    std::string text;
  };

  void ReadPresent(const Row& row, const toml::node& node, const std::string& path, void* object);
  void ReadAbsent(const Row& row, const std::string& path, int line, void* object);
  void ReadEach(const Row& row, const toml::node& node, const std::string& path, void* object);
  void RefuseUnknown(const Rows& rows, const toml::table& table, const std::string& path);
  void Refuse(const toml::node& node, const std::string& path, const std::string& expected);
  /// A scalar, or one element of a list, against the row's choices and its own check.
  bool Accepts(const Row& row, const toml::node& node, const std::string& path);
  template <typename T>
  std::optional<Parsed> ReadList(const Row& row, const toml::node& node, const std::string& path);
  std::optional<Parsed> ReadScalar(const Row& row, const toml::node& node, const std::string& path);

  std::string file_;
  std::vector<Wrong> errors_;
  RestartValues restart_values_;
};

void Table::Reader::AddError(int line, const std::string& path, const std::string& text) {
  std::string error = file_ + ":" + std::to_string(line) + ": ";
  if (!path.empty()) error += path + ": ";
  errors_.push_back({line, error + text});
}

std::string Table::Reader::Errors() {
  std::stable_sort(errors_.begin(), errors_.end(),
                   [](const Wrong& a, const Wrong& b) { return a.line < b.line; });
  std::string text;
  for (const Wrong& wrong : errors_) {
    if (!text.empty()) text += '\n';
    text += wrong.text;
  }
  return text;
}

void Table::Reader::Refuse(const toml::node& node, const std::string& path,
                           const std::string& expected) {
  AddError(LineOf(node), path, "expected " + expected + ", got " + Describe(node));
}

bool Table::Reader::Accepts(const Row& row, const toml::node& node, const std::string& path) {
  const std::string text = node.is_string() ? node.as_string()->get() : Describe(node);
  if (!row.Allows(text)) {
    Refuse(node, path, row.ExpectedChoice());
    return false;
  }
  if (!row.spec.check) return true;
  const std::string expected = row.spec.check(text);
  if (!expected.empty()) Refuse(node, path, expected);
  return expected.empty();
}

template <typename T>
std::optional<Parsed> Table::Reader::ReadList(const Row& row, const toml::node& node,
                                              const std::string& path) {
  if (!node.is_array()) {
    Refuse(node, path, row.Expected(Miss::kForm));
    return std::nullopt;
  }
  const Type type = ElementType(row.kind.type);
  std::vector<T> elements;
  bool good = true;
  for (const toml::node& element : *node.as_array()) {
    std::optional<Parsed> value = ToScalar(type, element);
    if (!value) Refuse(element, path, row.ExpectedElement());
    good = value && Accepts(row, element, path) && good;
    if (value) elements.push_back(std::get<T>(*std::move(value)));
  }
  if (!good) return std::nullopt;
  return Parsed(std::move(elements));
}

std::optional<Parsed> Table::Reader::ReadScalar(const Row& row, const toml::node& node,
                                                const std::string& path) {
  std::optional<Parsed> value = ToScalar(row.kind.type, node);
  if (!value) {
    Refuse(node, path, row.Expected(Miss::kForm));
    return std::nullopt;
  }
  return Accepts(row, node, path) ? value : std::nullopt;
}

std::optional<Parsed> Table::Reader::ReadValue(const Row& row, const toml::node& node,
                                               const std::string& path) {
  std::optional<Parsed> value;
  switch (row.kind.type) {
    case Type::kTexts:
      value = ReadList<std::string>(row, node, path);
      break;
    case Type::kIntegers:
      value = ReadList<int64_t>(row, node, path);
      break;
    case Type::kNumbers:
      value = ReadList<double>(row, node, path);
      break;
    default:
      value = ReadScalar(row, node, path);
  }
  if (!value) return std::nullopt;
  if (const std::optional<Miss> miss = row.OutOfRange(*value)) {
    Refuse(node, path, row.Expected(*miss));
    return std::nullopt;
  }
  return value;
}

void Table::Reader::ReadEach(const Row& row, const toml::node& node, const std::string& path,
                             void* object) {
  const toml::array* list = node.as_array();
  if (list == nullptr) return Refuse(node, path, row.Expected(Miss::kForm));
  if (const auto miss = row.OutOfRange(Parsed(static_cast<int64_t>(list->size())))) {
    Refuse(node, path, row.Expected(*miss));
  }
  for (const toml::node& element : *list) {
    if (const toml::table* table = element.as_table()) {
      ReadTable(*row.table.rows_, *table, path, LineOf(element), row.member(object));
    } else {
      Refuse(element, path, row.Expected(Miss::kForm));
    }
  }
}

void Table::Reader::ReadPresent(const Row& row, const toml::node& node, const std::string& path,
                                void* object) {
  if (row.shape == Shape::kKey) {
    std::optional<Parsed> value = ReadValue(row, node, path);
    if (value && row.spec.restart) restart_values_.emplace_back(path, *value);
    if (value) row.store(object, *std::move(value));
  } else if (row.shape == Shape::kEach) {
    ReadEach(row, node, path, object);
  } else if (const toml::table* table = node.as_table()) {
    ReadTable(*row.table.rows_, *table, path, LineOf(node), row.member(object));
  } else {
    Refuse(node, path, row.Expected(Miss::kForm));
  }
}

void Table::Reader::ReadAbsent(const Row& row, const std::string& path, int line, void* object) {
  const bool none_is_too_few = row.shape == Shape::kEach && row.OutOfRange(Parsed(int64_t{0}));
  if (row.spec.required || none_is_too_few) {
    AddError(line, path, "missing; expected " + row.Expected(Miss::kForm));
  } else if (row.fallback) {
    if (row.spec.restart) restart_values_.emplace_back(path, *row.fallback);
    row.store(object, Parsed(*row.fallback));
  } else if (row.shape == Shape::kSub) {
    ReadTable(*row.table.rows_, toml::table(), path, line, row.member(object));
  }
}

void Table::Reader::RefuseUnknown(const Rows& rows, const toml::table& table,
                                  const std::string& path) {
  for (const auto& [key, node] : table) {
    if (rows.Find(key.str()) != nullptr) continue;
    const std::string_view nearest = rows.Nearest(key.str());
    std::string text = "unknown key";
    if (!nearest.empty()) {
      text += "; did you mean \"" + std::string(nearest) + "\"?";
    } else {
      text += "; known here: " + rows.Keys();
    }
    AddError(static_cast<int>(key.source().begin.line), Join(path, key.str()), text);
  }
}

Origin Table::Reader::OriginOf(const toml::table& table, const std::string& path, int line) const {
  Origin origin{.file = file_, .line = line, .table = path, .keys = {}};
  for (const auto& [key, node] : table) {
    origin.keys.emplace_back(key.str(), static_cast<int>(key.source().begin.line));
  }
  return origin;
}

void Table::Reader::ReadTable(const Rows& rows, const toml::table& table, const std::string& path,
                              int line, void* object) {
  for (const auto& where : rows.wheres) *where(object) = OriginOf(table, path, line);
  const size_t errors_before = errors_.size();
  for (const Row& row : rows.rows) {
    const std::string key_path = Join(path, row.key);
    if (const toml::node* node = table.get(row.key)) {
      ReadPresent(row, *node, key_path, object);
    } else {
      ReadAbsent(row, key_path, line, object);
    }
  }
  RefuseUnknown(rows, table, path);
  if (errors_.size() != errors_before) return;  // a check may rely on every key
  for (const auto& check : rows.checks) {
    const std::string sentence = check(object);
    if (!sentence.empty()) AddError(line, path, sentence);
  }
}

std::vector<std::string> ChangedKeys(const RestartValues& before, const RestartValues& now) {
  std::map<std::string, std::pair<std::vector<Parsed>, std::vector<Parsed>>> by_path;
  for (const auto& [path, value] : before) by_path[path].first.push_back(value);
  for (const auto& [path, value] : now) by_path[path].second.push_back(value);
  std::vector<std::string> changed;
  for (const auto& [path, values] : by_path) {
    if (values.first != values.second) changed.push_back(path);
  }
  return changed;
}

void WarnOfRestart(const RestartValues& before, const RestartValues& now) {
  std::string keys;
  for (const std::string& key : ChangedKeys(before, now)) {
    if (!keys.empty()) keys += ", ";
    keys += key;
  }
  if (keys.empty()) return;
  Log(Level::kWarning, "reload_partial", {{"keys", keys}, {"need", "restart"}});
}

std::string Origin::Of(std::string_view key) const {
  int at = line;
  for (const auto& [written, key_line] : keys) {
    if (written == key) at = key_line;
  }
  return file + ":" + std::to_string(at) + ": " + Join(table, key);
}

tl::unexpected<Error> Origin::Refuse(std::string_view key, const Error& error) const {
  return Fail(Fault::kOperator, error.reason, Of(key) + ": " + error.message);
}

Table::Table() : rows_(std::make_unique<Rows>()) {}
Table::Table(Table&&) noexcept = default;
Table& Table::operator=(Table&&) noexcept = default;
Table::~Table() = default;

void Table::AddKey(std::string_view key, const Spec& spec, Kind kind, Store store) {
  Rows::Row row = rows_->NewRow(key, spec, Shape::kKey, kind);
  row.store = std::move(store);
  if (!row.spec.fallback.empty()) {
    if (row.spec.required) Fatal("setting " + row.key + " is required and has a default");
    Reader reader("default");
    try {
      const toml::table table =
          toml::parse(std::string_view("v = " + Literal(kind.type, row.spec.fallback)));
      row.fallback = reader.ReadValue(row, *table.get("v"), row.key);
    } catch (const toml::parse_error& error) {
      reader.AddError(1, row.key, std::string(error.description()));
    }
    if (!row.fallback) Fatal("setting " + reader.Errors());
  }
  rows_->rows.push_back(std::move(row));
}

void Table::AddSub(std::string_view key, const Spec& spec, Table table, Member member) {
  Rows::Row row = rows_->NewRow(key, spec, Shape::kSub, {});
  row.member = std::move(member);
  row.table = std::move(table);
  rows_->rows.push_back(std::move(row));
}

void Table::AddOptionalSub(std::string_view key, const Spec& spec, Table table, Member emplace) {
  AddSub(key, spec, std::move(table), std::move(emplace));
  rows_->rows.back().shape = Shape::kOptionalSub;
}

void Table::AddEach(std::string_view key, const Spec& spec, Table table, Member append) {
  Rows::Row row = rows_->NewRow(key, spec, Shape::kEach, {});
  row.member = std::move(append);
  row.table = std::move(table);
  rows_->rows.push_back(std::move(row));
}

void Table::AddCheck(std::function<std::string(const void*)> check) {
  rows_->checks.push_back(std::move(check));
}

void Table::AddKeep(std::function<RestartValues*(void*)> keep) { rows_->keep = std::move(keep); }

void Table::AddWhere(std::function<Origin*(void*)> where) {
  rows_->wheres.push_back(std::move(where));
}

Status Table::ReadText(std::string_view text, std::string_view file_name, void* object) const {
  Reader reader(file_name);
  try {
    const toml::table table = toml::parse(text);
    reader.ReadTable(*rows_, table, "", 1, object);
    if (rows_->keep) *rows_->keep(object) = reader.TakeRestartValues();
  } catch (const toml::parse_error& error) {
    const toml::source_position at = error.source().begin;
    std::string_view what = error.description();
    constexpr std::string_view kNoise = "Error while parsing ";
    if (what.starts_with(kNoise)) what.remove_prefix(kNoise.size());
    reader.AddError(static_cast<int>(at.line), "",
                    "not TOML at column " + std::to_string(at.column) + ": " + std::string(what));
  }
  std::string errors = reader.Errors();
  if (errors.empty()) return {};
  return Fail(Fault::kOperator, "bad_settings", std::move(errors));
}

Status Table::ReadFile(const std::string& path, void* object) const {
  const Result<std::string> text = nearside::ReadFile(path, kLargestFile);
  if (!text) return Fail(Fault::kOperator, "bad_settings", text.error().message);
  return ReadText(*text, path, object);
}

}  // namespace nearside::settings

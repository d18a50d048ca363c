#include "runtime/settings.h"
#include "runtime/settings_rows.h"

namespace nearside::settings {

namespace {

std::string_view TypeName(Type type) {
  switch (type) {
    case Type::kText:
      return "text";
    case Type::kBool:
      return "true or false";
    case Type::kInteger:
      return "whole number";
    case Type::kNumber:
      return "number";
    case Type::kSize:
      return "size";
    case Type::kDuration:
      return "duration";
    case Type::kTexts:
      return "list of texts";
    case Type::kIntegers:
      return "list of whole numbers";
    case Type::kNumbers:
      return "list of numbers";
  }
  return "";
}

/// A cell of a Markdown table cannot hold a bar.
std::string Cell(std::string_view text) {
  std::string cell;
  for (const char c : text) {
    if (c == '|') cell += '\\';
    cell += c;
  }
  return cell;
}

std::string Code(std::string_view text) { return "`" + Cell(text) + "`"; }

}  // namespace

/// Writes one heading and one table of keys for each settings table, depth first.
class Table::Printer {
 public:
  using Row = Rows::Row;

  /// The keys of one table and, below them, the tables inside it. `path` names it: "zone".
  void PrintTable(const Rows& rows, const std::string& path, size_t depth);
  std::string text;

 private:
  void PrintKey(const Row& row);
  void PrintHeading(const Row& row, const std::string& path, size_t depth);
};

void Table::Printer::PrintKey(const Row& row) {
  const Spec& spec = row.spec;
  std::string fallback = "none";
  if (spec.required) fallback = "required";
  if (!spec.fallback.empty()) fallback = Code(Literal(row.kind.type, spec.fallback));
  text += "| " + Code(row.key) + " | " + std::string(TypeName(row.kind.type)) + " | " + fallback +
          " | " + Cell(row.Range()) + " | " + Cell(spec.prose) +
          (spec.restart ? " Takes a restart." : "") + " |\n";
}

/// Tables at the top stand in files as [cache] or [[zone]], lists of tables below those as
/// [[zone.steer]], and whatever is inside else as check = { … }.
void Table::Printer::PrintHeading(const Row& row, const std::string& path, size_t depth) {
  const bool many = row.shape == Shape::kEach;
  std::string name;
  if (many && depth <= 2) {
    name = "[[" + path + "]]";
  } else if (many) {
    name = row.key + " = [{ … }]";
  } else {
    name = depth == 1 ? "[" + path + "]" : row.key + " = { … }";
  }
  text += "\n" + std::string(depth + 1, '#') + " " + name + "\n\n" + row.spec.prose;
  const std::string number = row.Range();
  if (!number.empty()) {
    text += " There must be " + number + ".";
  } else if (row.spec.required) {
    text += " Required.";
  }
  text += "\n";
}

void Table::Printer::PrintTable(const Rows& rows, const std::string& path, size_t depth) {
  bool heads = false;
  for (const Row& row : rows.rows) {
    if (row.shape != Shape::kKey) continue;
    if (!heads) text += "\n| key | type | default | range | meaning |\n|---|---|---|---|---|\n";
    heads = true;
    PrintKey(row);
  }
  for (const Row& row : rows.rows) {
    if (row.shape == Shape::kKey) continue;
    const std::string inner = path.empty() ? row.key : path + "." + row.key;
    PrintHeading(row, inner, depth + 1);
    PrintTable(*row.table.rows_, inner, depth + 1);
  }
}

std::string Table::Document(std::string_view title) const {
  Printer printer;
  printer.text = "# " + std::string(title) + "\n";
  printer.PrintTable(*rows_, "", 0);
  return printer.text;
}

}  // namespace nearside::settings

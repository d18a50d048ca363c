#include "storage/metadata_session.h"

#include <Poco/Data/RecordSet.h>
#include <Poco/Data/SQLite/Connector.h>
#include <Poco/Data/SQLite/SQLiteException.h>
#include <Poco/Data/Session.h>
#include <Poco/Data/Statement.h>

#include <charconv>
#include <mutex>

namespace nearside::storage {
namespace {

using Poco::Data::Keywords::bind;

tl::unexpected<Error> FailSql(const Poco::Exception& error) {
  const bool busy =
      dynamic_cast<const Poco::Data::SQLite::DBLockedException*>(&error) != nullptr ||
      dynamic_cast<const Poco::Data::SQLite::TableLockedException*>(&error) != nullptr;
  const bool full =
      dynamic_cast<const Poco::Data::SQLite::DatabaseFullException*>(&error) != nullptr;
  return Fail(Fault::kSelf,
              full   ? "ENOSPC"
              : busy ? "database_busy"
                     : "database_failed",
              "metadata: " + error.displayText());
}

void Bind(Poco::Data::Statement& statement, std::span<const SqlValue> arguments) {
  for (const SqlValue& argument : arguments) {
    if (const auto* number = std::get_if<int64_t>(&argument)) {
      statement, bind(static_cast<Poco::Int64>(*number));
    } else {
      statement, bind(std::get<std::string>(argument));
    }
  }
}

SqlRows ReadRows(Poco::Data::Statement& statement) {
  SqlRows rows;
  if (statement.columnsExtracted() == 0) return rows;  // RecordSet asserts that there are some
  Poco::Data::RecordSet records(statement);
  const size_t columns = records.columnCount();
  const size_t count = records.rowCount();
  rows.reserve(count);
  for (size_t row = 0; row < count; ++row) {
    std::vector<std::string> values;
    values.reserve(columns);
    for (size_t column = 0; column < columns; ++column) {
      values.push_back(records.value(column, row).convert<std::string>());
    }
    rows.emplace_back(std::move(values));
  }
  return rows;
}

}  // namespace

int64_t SqlRow::Int(size_t column) const {
  const std::string& text = values_[column];
  int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc() && end == text.data() + text.size() ? value : 0;
}

struct SqlSession::State {
  explicit State(const std::string& file) : session("SQLite", file) {}
  Poco::Data::Session session;
};

SqlSession::SqlSession(std::unique_ptr<State> state) : state_(std::move(state)) {}
SqlSession::~SqlSession() = default;

Result<std::unique_ptr<SqlSession>> SqlSession::OpenSqlite(const std::string& file, bool durable) {
  static std::once_flag registered;
  std::call_once(registered, [] { Poco::Data::SQLite::Connector::registerConnector(); });
  try {
    auto session = std::unique_ptr<SqlSession>(new SqlSession(std::make_unique<State>(file)));
    // The order matters: the timeout holds for the switch to WAL already, which takes the write
    // lock.
    for (const char* pragma : {"PRAGMA busy_timeout=10000", "PRAGMA journal_mode=WAL",
                               durable ? "PRAGMA synchronous=FULL" : "PRAGMA synchronous=NORMAL",
                               "PRAGMA foreign_keys=ON", "PRAGMA cache_size=-16384"}) {
      if (Result<SqlRows> set = session->Query(pragma); !set) {
        return Fail(Fault::kOperator, "cannot_open", file + ": " + set.error().message);
      }
    }
    return session;
  } catch (const Poco::Exception& error) {
    return Fail(
        Fault::kOperator, "cannot_open",
        file + ": " + error.displayText() +
            ": expected a folder that can be written, and an SQLite database or none in it");
  }
}

Result<SqlRows> SqlSession::Query(std::string_view sql, std::span<const SqlValue> arguments) {
  try {
    Poco::Data::Statement statement(state_->session);
    statement << std::string(sql);
    Bind(statement, arguments);
    statement.execute();
    return ReadRows(statement);
  } catch (const Poco::Exception& error) {
    return FailSql(error);
  }
}

Status SqlSession::Run(std::string_view sql, std::span<const SqlValue> arguments) {
  try {
    Poco::Data::Statement statement(state_->session);
    statement << std::string(sql);
    Bind(statement, arguments);
    statement.execute();
    return {};
  } catch (const Poco::Exception& error) {
    return FailSql(error);
  }
}

Status SqlSession::RunEach(std::string_view sql, std::span<const std::vector<SqlValue>> rows) {
  for (const std::vector<SqlValue>& row : rows) {
    if (Status ran = Run(sql, row); !ran) return ran;
  }
  return {};
}

Status SqlSession::BeginWrite() { return Run("BEGIN IMMEDIATE"); }

Status SqlSession::Commit() { return Run("COMMIT"); }

void SqlSession::Rollback() { (void)Run("ROLLBACK"); }

Result<SqlTransaction> SqlTransaction::Begin(SqlSession& session) {
  if (Status begun = session.BeginWrite(); !begun) return unexpected(std::move(begun.error()));
  return SqlTransaction(session);
}

Status SqlTransaction::Commit() {
  Status committed = session_->Commit();
  if (committed) session_ = nullptr;
  return committed;
}

}  // namespace nearside::storage

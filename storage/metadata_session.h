#pragma once

// One connection to an SQL database by Poco::Data, whose exceptions end here. Values are 64-bit
// integers and texts alone, never NULL, so that SQLite and PostgreSQL mean the same by them.

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "runtime/result.h"

namespace nearside::storage {

using SqlValue = std::variant<int64_t, std::string>;

/// One row of an answer, its values as texts; columns count from 0.
class SqlRow {
 public:
  explicit SqlRow(std::vector<std::string> values) : values_(std::move(values)) {}
  const std::string& Text(size_t column) const { return values_[column]; }
  /// The value as an integer; 0 when it is none.
  int64_t Int(size_t column) const;

 private:
  std::vector<std::string> values_;
};
using SqlRows = std::vector<SqlRow>;

/// One thread at a time.
class SqlSession {
 public:
  /// Errors: kOperator cannot_open.
  static Result<std::unique_ptr<SqlSession>> OpenSqlite(const std::string& file, bool durable);
  ~SqlSession();

  /// Runs one statement with `?` for each of `arguments`. Errors: kSelf database_failed,
  /// database_busy.
  Result<SqlRows> Query(std::string_view sql, std::span<const SqlValue> arguments = {});
  Status Run(std::string_view sql, std::span<const SqlValue> arguments = {});
  /// Runs one statement for each of the rows of arguments.
  Status RunEach(std::string_view sql, std::span<const std::vector<SqlValue>> rows);

  Status BeginWrite();
  Status Commit();
  void Rollback();

 private:
  struct State;
  explicit SqlSession(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

/// A write transaction: rolled back unless committed.
class SqlTransaction {
 public:
  static Result<SqlTransaction> Begin(SqlSession& session);
  SqlTransaction(SqlTransaction&& other) noexcept
      : session_(std::exchange(other.session_, nullptr)) {}
  ~SqlTransaction() {
    if (session_ != nullptr) session_->Rollback();
  }
  Status Commit();

 private:
  explicit SqlTransaction(SqlSession& session) : session_(&session) {}
  SqlSession* session_;
};

}  // namespace nearside::storage

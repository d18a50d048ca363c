#include "http/http1_refusal.h"

#include <array>

namespace nearside::http {

namespace {

struct Row {
  Refusal refusal;
  std::string_view name;
  int status;
};

constexpr std::array kRows = {
    Row{Refusal::kNone, "none", 200},
    Row{Refusal::kBareCr, "bare_cr", 400},
    Row{Refusal::kBareLf, "bare_lf", 400},
    Row{Refusal::kControlCharacter, "control_character", 400},
    Row{Refusal::kBadRequestLine, "bad_request_line", 400},
    Row{Refusal::kBadMethod, "bad_method", 400},
    Row{Refusal::kBadTarget, "bad_target", 400},
    Row{Refusal::kTargetTooLong, "target_too_long", 414},
    Row{Refusal::kBadVersion, "bad_version", 505},
    Row{Refusal::kBadStatusLine, "bad_status_line", 400},
    Row{Refusal::kUnexpectedUpgrade, "unexpected_upgrade", 400},
    Row{Refusal::kTooManyInterims, "too_many_interims", 400},
    Row{Refusal::kObsFold, "obs_fold", 400},
    Row{Refusal::kMissingColon, "missing_colon", 400},
    Row{Refusal::kSpaceBeforeColon, "space_before_colon", 400},
    Row{Refusal::kBadFieldName, "bad_field_name", 400},
    Row{Refusal::kFieldsTooLarge, "fields_too_large", 431},
    Row{Refusal::kTooManyFields, "too_many_fields", 431},
    Row{Refusal::kMissingHost, "missing_host", 400},
    Row{Refusal::kSeveralHosts, "several_hosts", 400},
    Row{Refusal::kBadHost, "bad_host", 400},
    Row{Refusal::kBadExpectation, "bad_expectation", 417},
    Row{Refusal::kBadLength, "bad_length", 400},
    Row{Refusal::kSeveralLengths, "several_lengths", 400},
    Row{Refusal::kLengthAndCoding, "length_and_coding", 400},
    Row{Refusal::kUnknownCoding, "unknown_coding", 501},
    Row{Refusal::kCodingInHttp10, "coding_in_http10", 400},
    Row{Refusal::kBadChunkSize, "bad_chunk_size", 400},
    Row{Refusal::kChunkLineTooLong, "chunk_line_too_long", 400},
    Row{Refusal::kTooManyExtensions, "too_many_extensions", 400},
    Row{Refusal::kBadChunkEnd, "bad_chunk_end", 400},
    Row{Refusal::kCutOff, "cut_off", 400},
};

constexpr bool RowsAreInOrder() {
  for (size_t i = 0; i < kRows.size(); ++i) {
    if (static_cast<size_t>(kRows[i].refusal) != i) return false;
  }
  return true;
}
static_assert(RowsAreInOrder(), "one row for each refusal, in order");

}  // namespace

std::string_view RefusalName(Refusal refusal) { return kRows[static_cast<size_t>(refusal)].name; }

int RefusalStatus(Refusal refusal) { return kRows[static_cast<size_t>(refusal)].status; }

}  // namespace nearside::http

#include "dns/malformed.h"

namespace nearside::dns {

std::string_view MalformedName(Malformed malformed) {
  switch (malformed) {
    case Malformed::kNone:
      return "none";
    case Malformed::kHeaderCutOff:
      return "header_cut_off";
    case Malformed::kIsResponse:
      return "is_response";
    case Malformed::kNoQuestion:
      return "no_question";
    case Malformed::kSeveralQuestions:
      return "several_questions";
    case Malformed::kNameCutOff:
      return "name_cut_off";
    case Malformed::kNameTooLong:
      return "name_too_long";
    case Malformed::kReservedLabel:
      return "reserved_label";
    case Malformed::kPointerForward:
      return "pointer_forward";
    case Malformed::kPointerLimit:
      return "pointer_limit";
    case Malformed::kPointerInQuestion:
      return "pointer_in_question";
    case Malformed::kQuestionCutOff:
      return "question_cut_off";
    case Malformed::kRecordCutOff:
      return "record_cut_off";
    case Malformed::kRdataCutOff:
      return "rdata_cut_off";
    case Malformed::kTrailingBytes:
      return "trailing_bytes";
    case Malformed::kOptOwner:
      return "opt_owner";
    case Malformed::kOptMisplaced:
      return "opt_misplaced";
    case Malformed::kSeveralOpts:
      return "several_opts";
    case Malformed::kOptionCutOff:
      return "option_cut_off";
    case Malformed::kSubnetCutOff:
      return "subnet_cut_off";
    case Malformed::kSubnetFamily:
      return "subnet_family";
    case Malformed::kSubnetSource:
      return "subnet_source";
    case Malformed::kSubnetScope:
      return "subnet_scope";
    case Malformed::kSubnetLength:
      return "subnet_length";
    case Malformed::kSubnetBits:
      return "subnet_bits";
    case Malformed::kSeveralSubnets:
      return "several_subnets";
    case Malformed::kCookieLength:
      return "cookie_length";
  }
  return "unknown";
}

}  // namespace nearside::dns

#include "api/error_json.h"

#include <algorithm>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>

#include "base/utf8.h"

namespace calliope::api {

namespace json = boost::json;

namespace {

json::value or_null(std::string_view text) {
  if (text.empty()) return nullptr;
  return json::string(utf8_lossy(text));
}

}  // namespace

ErrorReply error_reply(const ErrorText& text) {
  json::object error;
  error["message"] = utf8_lossy(text.message);
  error["type"] = text.type;
  error["param"] = or_null(text.param);
  error["code"] = or_null(text.code);
  json::object root;
  root["error"] = std::move(error);
  return {.status = text.status,
          .body = json::serialize(root),
          .message = std::string(text.message),
          .code = std::string(text.code.empty() ? text.type : text.code)};
}

ErrorReply error_reply(const Error& error, ErrorStage stage) {
  ErrorText text{.status = 400, .message = error.message, .param = error.field};
  switch (error.code) {
    case ErrorCode::invalid_argument: text.code = error.field.empty() ? "" : "invalid_value"; break;
    case ErrorCode::not_found:
      text.status = 404;
      text.code = error.field == "model" ? "model_not_found" : "not_found";
      break;
    case ErrorCode::unsupported: text.code = "unsupported_value"; break;
    case ErrorCode::too_large:
      text.status = stage == ErrorStage::engine ? 400 : 413;
      text.code = stage == ErrorStage::engine ? "context_length_exceeded" : "request_too_large";
      break;
    case ErrorCode::unavailable:
      text.status = 429;
      text.type = "rate_limit_error";
      text.code = "rate_limit_exceeded";
      break;
    case ErrorCode::cancelled:
      text.status = 499;
      text.code = "cancelled";
      break;
    case ErrorCode::io:
    case ErrorCode::internal:
      text.status = 500;
      text.type = "server_error";
      text.code = "internal_error";
      break;
  }
  ErrorReply reply = error_reply(text);
  if (error.code == ErrorCode::unavailable) reply.retry_after_s = std::max(1, error.retry_after_s);
  return reply;
}

}  // namespace calliope::api

#pragma once

#include <string>
#include <string_view>

#include "base/result.h"

namespace calliope::api {

/// An HTTP answer that tells an error as OpenAI's API does.
struct ErrorReply {
  int status = 500;
  std::string body;     ///< {"error":{"message","type","param","code"}}
  std::string message;  ///< the same, for a log
  std::string code;     ///< error.code, or error.type when that is null; one of a fixed list
  int retry_after_s = 0;  ///< for Retry-After; 0: none
};

/// Whose limit a too_large error broke: the bytes sent (413), or the model's context (400).
enum class ErrorStage { request, engine };

/// How an error of ours looks to a client.
ErrorReply error_reply(const Error& error, ErrorStage stage = ErrorStage::request);

/// An error that has no Error: a wrong path, method or key. `code` and `param` may be empty: null.
struct ErrorText {
  int status = 400;
  std::string_view message;
  std::string_view type = "invalid_request_error";
  std::string_view param = {};
  std::string_view code = {};
};
ErrorReply error_reply(const ErrorText& text);

}  // namespace calliope::api

#pragma once

#include <expected>
#include <string>
#include <utility>

namespace calliope {

/// What kind of mistake an outside byte caused; the server maps each to an HTTP status.
enum class ErrorCode {
  invalid_argument,  ///< malformed or contradictory input
  not_found,         ///< a file, model or voice that is not there
  unsupported,       ///< understood, but not something this build or model can do
  too_large,         ///< over a stated limit
  unavailable,       ///< busy or shutting down; try again
  cancelled,         ///< the caller went away or asked to stop
  io,                ///< the operating system refused
  internal,          ///< our own fault
};

/// An error a user can act on. `field` names the JSON field, tensor or file at fault, and may be empty.
struct Error {
  ErrorCode code = ErrorCode::internal;
  std::string message;
  std::string field = {};
  int retry_after_s = 0;  ///< of unavailable: when to try again; 0: not known
};

template <class T>
using Result = std::expected<T, Error>;

/// Shorthand for returning an error: `return fail(ErrorCode::io, "cannot open ...");`
inline std::unexpected<Error> fail(ErrorCode code, std::string message, std::string field = {}) {
  return std::unexpected(Error{code, std::move(message), std::move(field)});
}

}  // namespace calliope

#define CALLIOPE_CONCAT_(a, b) a##b
#define CALLIOPE_CONCAT(a, b) CALLIOPE_CONCAT_(a, b)

/// Evaluates a Result<T>; on error returns it from the enclosing function, else binds the value: TRY(auto x, f());
#define TRY(declaration, expression)                                            \
  auto CALLIOPE_CONCAT(try_, __LINE__) = (expression);                          \
  if (!CALLIOPE_CONCAT(try_, __LINE__))                                         \
    return std::unexpected(std::move(CALLIOPE_CONCAT(try_, __LINE__)).error()); \
  declaration = std::move(*CALLIOPE_CONCAT(try_, __LINE__))

/// Evaluates a Result<void>; on error returns it from the enclosing function.
#define TRY_VOID(expression)                                 \
  if (auto try_result = (expression); !try_result) {         \
    return std::unexpected(std::move(try_result).error());   \
  }

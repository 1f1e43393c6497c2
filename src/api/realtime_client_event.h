#pragma once

#include <span>
#include <string>
#include <string_view>

#include "api/chat_request.h"
#include "api/realtime_types.h"

namespace calliope::api::realtime {

/// What reading a client's event needs besides its bytes.
struct ClientEventContext {
  MediaDecoder& decoder;
  const Session& session;  ///< as it is now: session.update is read over it, sounds come in its format
  std::span<const std::string> models = {};
};

/// Why an event cannot be read, with what its `error` event needs.
struct BadEvent {
  Error error;
  std::string event_id;  ///< the client's own; may be empty
  std::string code;      ///< empty: the one that belongs to the error
};

/// Reads one event of a client: session.update, input_audio_buffer.{append,commit,clear}, output_audio_buffer.clear,
/// conversation.item.{create,delete,retrieve,truncate} and response.{create,cancel}, in GA's or the beta's shape.
/// Fields it does not know are ignored. Errors name the field, as in session.audio.input.format.rate.
std::expected<ClientEvent, BadEvent> parse_client_event(std::string_view bytes, const ClientEventContext& context);

/// POST /v1/realtime/client_secrets.
struct ClientSecretRequest {
  Session session;
  int seconds = 600;  ///< how long the secret opens sessions, [10, 7200]
};
/// `defaults`: what a session is set to that says nothing. An empty body is one.
Result<ClientSecretRequest> parse_client_secret(std::string_view body, const Session& defaults,
                                                std::span<const std::string> models);

}  // namespace calliope::api::realtime

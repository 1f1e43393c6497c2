#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "api/error_json.h"
#include "server/context.h"
#include "server/event_queue.h"
#include "server/log.h"

namespace calliope::server {

struct PendingAnswer;
struct PendingSpeech;
struct PendingTranscription;
class RealtimeSession;

/// What is told about one request when it is over.
struct RequestLog {
  std::string id;
  std::string method = "-";
  std::string path = "-";
  int status = 0;
  size_t bytes_in = 0;
  size_t bytes_out = 0;
  std::chrono::steady_clock::time_point start = std::chrono::steady_clock::now();
  double first_ms = -1;        ///< until the first delta of an answer
  double first_audio_ms = -1;  ///< until the first sound of an answer
  bool answered = false;       ///< the engine took it
  std::string_view api = "chat";  ///< whose answer it was, as metrics call it
  std::string outcome = "ok";
  std::string detail = {};  ///< the message of an error
  assistant::Usage usage = {};
};

/// An answer that is complete when its sending begins.
struct Reply {
  int status = 200;
  std::string_view content_type = "application/json";
  std::string body;
  std::string headers = {};  ///< further lines, each ending in CRLF
};

/// One client's connection: reads requests one after another and answers them. All of it runs on one strand.
class Connection : public std::enable_shared_from_this<Connection> {
 public:
  Connection(tcp::socket socket, std::shared_ptr<Context> context);

  /// Serves until the client or the server has had enough. Keeps itself alive.
  asio::awaitable<void> run();
  /// Any thread: closes the connection if it waits between requests, and makes the request in flight its last.
  void close_when_idle();
  asio::any_io_executor executor() { return stream_.get_executor(); }

 private:
  using Parser = http::request_parser<http::string_body>;

  // connection.cc: reading and writing
  asio::awaitable<bool> serve_one();
  asio::awaitable<bool> wait_for_first_byte();
  asio::awaitable<bool> read_body(Parser& parser);
  asio::awaitable<bool> read_body_of_type(Parser& parser, std::string_view type);
  asio::awaitable<bool> write(std::string_view bytes);
  asio::awaitable<void> send(Reply reply);
  asio::awaitable<void> send_error(api::ErrorReply error, std::string headers = {});
  asio::awaitable<void> drop_rest_of_request();
  std::string head(int status, std::string_view content_type, std::string_view headers);
  bool client_gone();

  // routes.cc: which answer
  asio::awaitable<void> route(Parser& parser);
  asio::awaitable<bool> admit(const http::request_header<>& header, const std::vector<std::string>& keys);
  void end_request();
  asio::awaitable<void> chat(Parser& parser);

  // realtime_route.cc: conversations over a WebSocket
  asio::awaitable<void> realtime(Parser& parser);
  asio::awaitable<void> client_secret(Parser& parser);

  // chat_route.cc: asking the engine
  asio::awaitable<void> answer(std::string body);
  asio::awaitable<void> answer_whole(EventQueue& events, PendingAnswer& pending);
  asio::awaitable<void> answer_streamed(EventQueue& events, PendingAnswer& pending);
  enum class Wait { event, timeout, gone };
  using NextEvent = std::function<std::optional<assistant::Event>()>;
  asio::awaitable<Wait> wait_for(const NextEvent& next, std::optional<assistant::Event>& event,
                                 std::chrono::steady_clock::time_point until);
  asio::awaitable<Wait> wait_for(EventQueue& events, std::optional<assistant::Event>& event,
                                 std::chrono::steady_clock::time_point until);

  // speech_route.cc: reading text aloud
  asio::awaitable<void> speak(std::string body);
  asio::awaitable<void> speak_streamed(EventQueue& events, PendingSpeech& pending);
  asio::awaitable<void> refuse_speech(Error error, api::ErrorStage stage);
  asio::awaitable<bool> write_events(std::string_view events, bool first, bool last);
  std::function<void()> waker();
  void note_first_text();

  // transcription_route.cc: what is said in a sound
  asio::awaitable<void> transcription(Parser& parser);
  asio::awaitable<void> transcribe_whole(PendingTranscription& pending);
  asio::awaitable<void> transcribe_streamed(PendingTranscription& pending);
  asio::awaitable<void> refuse_transcription(Error error, api::ErrorStage stage);
  asio::awaitable<void> refuse_translation();

  beast::tcp_stream stream_;
  const std::shared_ptr<Context> context_;
  beast::flat_buffer buffer_;
  asio::steady_timer wake_timer_;
  std::weak_ptr<RealtimeSession> realtime_;
  bool woken_ = false;
  bool idle_ = false;
  bool first_request_ = true;

  // Of the request in flight.
  RequestLog log_;
  std::optional<BodyClaim> body_claim_;
  double max_wait_s_ = 0;  ///< X-Max-Wait
  bool keep_alive_ = true;
  bool http_1_0_ = false;
  bool head_only_ = false;
  bool wrote_ok_ = true;
};

/// Writes the line of one finished request.
void write_log(const RequestLog& log);

}  // namespace calliope::server

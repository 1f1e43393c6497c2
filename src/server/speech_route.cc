#include <fmt/format.h>

#include <utility>

#include "api/speech_request.h"
#include "api/speech_response.h"
#include "media/sound_writer.h"
#include "server/connection.h"

namespace calliope::server {

/// One text being read aloud.
struct PendingSpeech {
  api::SpeechRequest request;
  std::unique_ptr<media::SoundWriter> writer = {};
  std::stop_source stop = {};
};

namespace {

using Clock = std::chrono::steady_clock;

/// Detaches the queue from this connection however its coroutine ends, and cancels a reading nobody waits for.
struct Listening {
  std::shared_ptr<EventQueue> events;
  std::stop_source stop;
  ~Listening() {
    events->detach();
    stop.request_stop();  // without effect when all has been read
  }
};

}  // namespace

/// Parses, asks the engine and sends the sound as it comes.
asio::awaitable<void> Connection::speak(std::string body) {
  PendingSpeech pending;
  const auto active = context_->active.add(pending.stop);
  const auto events = std::make_shared<EventQueue>(context_->options.stream_queue_bytes, pending.stop);
  const Listening listening{events, pending.stop};
  api::ErrorStage stage = api::ErrorStage::request;
  const auto work = [&]() -> Result<void> {
    const std::vector<std::string> voices = context_->engine->voices();
    TRY(pending.request, api::parse_speech(body, {.models = context_->models, .voices = voices}));
    body = {};
    TRY(pending.writer,
        media::SoundWriter::open(
            {.format = pending.request.format, .rate = assistant::kSpeechSampleRate, .speed = pending.request.speed}));
    pending.request.request.id = log_.id;
    pending.request.request.max_wait_s = max_wait_s_;
    stage = api::ErrorStage::engine;
    return context_->engine->submit(std::move(pending.request.request), events, pending.stop.get_token());
  };
  const Result<void> submitted = co_await on_worker(*context_, work);
  body_claim_.reset();
  log_.answered = submitted.has_value();
  log_.api = "speech";
  if (!submitted) co_return co_await refuse_speech(submitted.error(), stage);
  events->attach(waker());
  co_await speak_streamed(*events, pending);
}

asio::awaitable<void> Connection::refuse_speech(Error error, api::ErrorStage stage) {
  const api::ErrorReply reply = api::error_reply(error, stage);
  std::string headers;
  if (reply.retry_after_s > 0) headers = fmt::format("Retry-After: {}\r\n", reply.retry_after_s);
  co_await send_error(reply, std::move(headers));
}

/// The header waits for the first sound, so that an early failure has its own status. What fails later ends the
/// connection before the last chunk, so that nobody takes the sound for whole.
asio::awaitable<void> Connection::speak_streamed(EventQueue& events, PendingSpeech& pending) {
  const bool as_events = pending.request.events;
  std::optional<assistant::Event> event;
  bool begun = false;
  for (bool finished = false; !finished;) {
    const auto until = as_events && begun ? Clock::now() + context_->options.heartbeat : Clock::time_point::max();
    const Wait wait = co_await wait_for(events, event, until);
    if (wait == Wait::gone) co_return;
    std::vector<float> samples;
    std::optional<Error> failure;
    bool stopped = false;
    for (; event && !finished; event = finished ? std::nullopt : events.pop()) {
      if (auto* audio = std::get_if<assistant::AudioDelta>(&*event)) {
        if (log_.first_audio_ms < 0)
          log_.first_audio_ms = std::chrono::duration<double, std::milli>(Clock::now() - log_.start).count();
        samples.insert(samples.end(), audio->samples.begin(), audio->samples.end());
      } else if (auto* failed = std::get_if<assistant::Failed>(&*event)) {
        failure = std::move(failed->error);
        finished = true;
      } else if (const auto* end = std::get_if<assistant::Finished>(&*event)) {
        log_.usage = end->usage;
        stopped = end->reason == assistant::FinishReason::cancelled;
        if (stopped) failure = Error{ErrorCode::unavailable, "The server stopped before all was read."};
        finished = true;
      }
    }
    std::vector<uint8_t> bytes;
    if (!failure && (finished || !samples.empty())) {
      const auto pack = [&]() -> Result<void> {
        TRY_VOID(pending.writer->push(samples, bytes));
        if (finished) TRY_VOID(pending.writer->finish(bytes));
        return {};
      };
      const Result<void> packed = co_await on_worker(*context_, pack);
      if (!packed) {
        failure = packed.error();
        finished = true;
      }
    }
    if (failure && !begun) {
      const api::ErrorText text{
          .status = 503, .message = failure->message, .type = "server_error", .code = "cancelled"};
      if (stopped)
        co_await send_error(api::error_reply(text), "Retry-After: 5\r\n");
      else
        co_await refuse_speech(*failure, api::ErrorStage::engine);
      co_return;
    }
    std::string out;
    if (failure) {
      log_.outcome = stopped ? "cancelled" : failure->code == ErrorCode::unavailable ? "slow_reader" : "error";
      log_.detail = failure->message;
      context_->metrics.error(api::error_reply(*failure, api::ErrorStage::engine).code);
      if (as_events) out = api::speech_failed(*failure);
    } else if (as_events) {
      if (!bytes.empty()) out = api::speech_delta(bytes);
      if (finished) out += api::speech_done(log_.usage);
      if (wait == Wait::timeout && out.empty()) out = ": still here\n\n";
    } else {
      out.assign(bytes.begin(), bytes.end());
    }
    const bool cut_off = failure && !as_events;
    if (cut_off) keep_alive_ = false;
    if (out.empty() && !finished) continue;  // an empty chunk would end the stream
    std::string message;
    if (!std::exchange(begun, true)) {
      if (http_1_0_) keep_alive_ = false;
      const std::string_view type =
          as_events ? "text/event-stream; charset=utf-8" : api::speech_media_type(pending.request.format);
      message = head(200, type,
                     fmt::format("Cache-Control: no-cache\r\nX-Accel-Buffering: no\r\n{}",
                                 http_1_0_ ? "" : "Transfer-Encoding: chunked\r\n")) +
                "\r\n";
    }
    if (http_1_0_) {
      message += out;
    } else {
      if (!out.empty()) message += fmt::format("{:x}\r\n", out.size()) + out + "\r\n";
      if (finished && !cut_off) message += "0\r\n\r\n";
    }
    const bool written = co_await write(message);
    if (!written) co_return;
  }
}

}  // namespace calliope::server

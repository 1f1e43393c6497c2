#include <fmt/format.h>

#include <utility>

#include "api/chat_response.h"
#include "server/connection.h"

namespace calliope::server {

std::string random_id(std::string_view prefix);

/// One request on its way through the engine.
struct PendingAnswer {
  api::AnswerHead head;
  bool stream = false;
  bool include_usage = false;
  api::SpeechFormat speech_format = api::SpeechFormat::wav;
  std::stop_source stop = {};
};

namespace {

using Clock = std::chrono::steady_clock;

double ms_since(Clock::time_point start) {
  return std::chrono::duration<double, std::milli>(Clock::now() - start).count();
}

int64_t unix_now_s() {
  return std::chrono::duration_cast<std::chrono::seconds>(std::chrono::system_clock::now().time_since_epoch()).count();
}

/// Detaches the queue from this connection however its coroutine ends, and cancels a request nobody waits for.
struct Attachment {
  std::shared_ptr<EventQueue> events;
  std::stop_source stop;
  ~Attachment() {
    events->detach();
    stop.request_stop();  // without effect when the answer is complete
  }
};

/// What parsing and submitting left behind; an error when the request goes no further.
struct Submission {
  std::optional<Error> error = {};
  api::ErrorStage stage = api::ErrorStage::request;
};

std::string retry_after(const api::ErrorReply& reply) {
  return reply.retry_after_s > 0 ? fmt::format("Retry-After: {}\r\n", reply.retry_after_s) : "";
}

}  // namespace

/// Parses, asks the engine and sends what it says.
asio::awaitable<void> Connection::answer(std::string body) {
  PendingAnswer pending;
  const auto active = context_->active.add(pending.stop);
  // What is collected whole is read at once; only a stream can have a slow reader.
  const auto events = std::make_shared<EventQueue>(context_->options.stream_queue_bytes, pending.stop);
  const Attachment attachment{events, pending.stop};
  pending.head.id = random_id("chatcmpl-");
  pending.head.created_s = unix_now_s();

  const auto work = [&]() -> Submission {
    const api::ChatContext chat_context{.decoder = *context_->decoder,
                                        .spoken_answers = &context_->spoken_answers,
                                        .models = context_->models,
                                        .limits = context_->options.limits};
    auto parsed = api::parse_chat(body, chat_context);
    body = {};
    if (!parsed) return {.error = std::move(parsed).error()};
    pending.head.model = parsed->model;
    pending.stream = parsed->stream;
    pending.include_usage = parsed->include_usage;
    pending.speech_format = parsed->speech_format;
    if (parsed->request.speak) {
      pending.head.audio_id = random_id("audio_");
      pending.head.audio_expires_s = pending.head.created_s + context_->options.spoken_answers_kept.count();
    }
    parsed->request.id = pending.head.id;
    parsed->request.max_wait_s = max_wait_s_;
    auto submitted = context_->engine->submit(std::move(parsed->request), events, pending.stop.get_token());
    if (!submitted) return {.error = std::move(submitted).error(), .stage = api::ErrorStage::engine};
    return {};
  };
  const Submission submission = co_await on_worker(*context_, work);
  body_claim_.reset();
  log_.answered = !submission.error;
  if (submission.error) {
    const api::ErrorReply reply = api::error_reply(*submission.error, submission.stage);
    co_return co_await send_error(reply, retry_after(reply));
  }
  events->attach(waker());
  if (pending.stream) {
    co_await answer_streamed(*events, pending);
  } else {
    co_await answer_whole(*events, pending);
  }
}

/// What makes wait_for look again, from any thread. The timer stands in for a condition variable: an event cancels it.
std::function<void()> Connection::waker() {
  return [weak = weak_from_this()] {
    if (const auto self = weak.lock()) {
      asio::post(self->stream_.get_executor(), [self] {
        self->woken_ = true;
        self->wake_timer_.cancel();
      });
    }
  };
}

void Connection::note_first_text() {
  if (log_.first_ms < 0) log_.first_ms = ms_since(log_.start);
}

asio::awaitable<Connection::Wait> Connection::wait_for(EventQueue& events, std::optional<assistant::Event>& event,
                                                       Clock::time_point until) {
  const NextEvent next = [&] { return events.pop(); };
  co_return co_await wait_for(next, event, until);
}

/// Waits for the next event, until a time at most. A client that has gone cancels the request.
asio::awaitable<Connection::Wait> Connection::wait_for(const NextEvent& next, std::optional<assistant::Event>& event,
                                                       Clock::time_point until) {
  constexpr auto kLookForClient = std::chrono::milliseconds(200);
  while (true) {
    event = next();
    if (event) co_return Wait::event;
    if (client_gone()) {
      log_.outcome = "client_gone";
      if (log_.status == 0) log_.status = 499;
      wrote_ok_ = false;
      co_return Wait::gone;
    }
    const auto now = Clock::now();
    if (now >= until) co_return Wait::timeout;
    if (!woken_) {
      wake_timer_.expires_at(std::min(until, now + kLookForClient));
      error_code ignored;
      co_await wake_timer_.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
    }
    woken_ = false;
  }
}

/// Collects the whole answer, then sends it.
asio::awaitable<void> Connection::answer_whole(EventQueue& events, PendingAnswer& pending) {
  api::ChatAnswer answer;
  std::vector<float> samples;
  std::optional<assistant::Event> event;
  for (bool finished = false; !finished;) {
    const Wait wait = co_await wait_for(events, event, Clock::time_point::max());
    if (wait == Wait::gone) co_return;
    if (const auto* text = std::get_if<assistant::TextDelta>(&*event)) {
      if (log_.first_ms < 0) log_.first_ms = ms_since(log_.start);
      answer.text += text->text;
    } else if (const auto* audio = std::get_if<assistant::AudioDelta>(&*event)) {
      if (log_.first_audio_ms < 0) log_.first_audio_ms = ms_since(log_.start);
      samples.insert(samples.end(), audio->samples.begin(), audio->samples.end());
    } else if (auto* called = std::get_if<assistant::ToolCalled>(&*event)) {
      answer.tool_calls.push_back(std::move(called->call));
    } else if (const auto* failed = std::get_if<assistant::Failed>(&*event)) {
      const api::ErrorReply reply = api::error_reply(failed->error, api::ErrorStage::engine);
      co_return co_await send_error(reply, retry_after(reply));
    } else if (const auto* end = std::get_if<assistant::Finished>(&*event)) {
      answer.reason = end->reason;
      answer.usage = end->usage;
      finished = true;
    }
  }
  log_.usage = answer.usage;
  if (answer.reason == assistant::FinishReason::cancelled) {
    const api::ErrorText text{.status = 503,
                              .message = "The server stopped before the answer was complete.",
                              .type = "server_error",
                              .code = "cancelled"};
    co_return co_await send_error(api::error_reply(text), "Retry-After: 5\r\n");
  }
  const bool spoken = !pending.head.audio_id.empty();
  if (spoken) context_->spoken_answers.remember(pending.head.audio_id, answer.text);
  const auto pack = [&]() -> Result<std::string> {
    if (spoken) {
      TRY(answer.audio, api::encode_speech(samples, pending.speech_format));
    }
    return api::chat_completion(pending.head, answer);
  };
  Result<std::string> body = co_await on_worker(*context_, pack);
  if (!body) co_return co_await send_error(api::error_reply(body.error()));
  Reply reply{.body = *std::move(body)};
  co_await send(std::move(reply));
}

/// Sends the answer as it comes. The header waits for the first event, so that an early failure has its own status.
asio::awaitable<void> Connection::answer_streamed(EventQueue& events, PendingAnswer& pending) {
  const api::ChatStream stream(pending.head, pending.include_usage);
  const auto heartbeat = context_->options.heartbeat;
  std::optional<assistant::Event> event;
  std::string transcript;
  size_t calls = 0;
  bool begun = false;
  for (bool finished = false; !finished;) {
    const Wait wait = co_await wait_for(events, event, Clock::now() + heartbeat);
    if (wait == Wait::gone) co_return;
    const auto* early = wait == Wait::event && !begun ? std::get_if<assistant::Failed>(&*event) : nullptr;
    if (early != nullptr) {
      const api::ErrorReply reply = api::error_reply(early->error, api::ErrorStage::engine);
      co_return co_await send_error(reply, retry_after(reply));
    }
    std::string out;
    if (wait == Wait::timeout) out = ": still here\n\n";
    const bool first = !std::exchange(begun, true);
    if (first) out += stream.begin();
    // Whatever else has come by now goes into the same write.
    while (event && !finished) {
      if (const auto* text = std::get_if<assistant::TextDelta>(&*event)) {
        if (log_.first_ms < 0) log_.first_ms = ms_since(log_.start);
        transcript += text->text;
        out += stream.text(text->text);
      } else if (const auto* audio = std::get_if<assistant::AudioDelta>(&*event)) {
        if (log_.first_audio_ms < 0) log_.first_audio_ms = ms_since(log_.start);
        out += stream.audio(audio->samples);
      } else if (const auto* called = std::get_if<assistant::ToolCalled>(&*event)) {
        out += stream.tool_call(calls++, called->call);
      } else if (const auto* failed = std::get_if<assistant::Failed>(&*event)) {
        log_.outcome = "error";
        log_.detail = failed->error.message;
        context_->metrics.error(api::error_reply(failed->error, api::ErrorStage::engine).code);
        out += api::ChatStream::fail(failed->error);
        finished = true;
      } else if (const auto* end = std::get_if<assistant::Finished>(&*event)) {
        log_.usage = end->usage;
        if (end->reason != assistant::FinishReason::cancelled) {
          if (!pending.head.audio_id.empty()) context_->spoken_answers.remember(pending.head.audio_id, transcript);
          out += stream.finish(*end);
        } else {
          const bool slow = events.overflowed();
          log_.outcome = slow ? "slow_reader" : "cancelled";
          out += api::ChatStream::fail(
              {ErrorCode::unavailable, slow ? "The answer was cancelled because it was not read fast enough."
                                            : "The server stopped before the answer was complete."});
        }
        finished = true;
      }
      event = finished ? std::nullopt : events.pop();
    }
    if (out.empty()) continue;  // an empty chunk would end the stream
    const bool written = co_await write_events(out, first, finished);
    if (!written) co_return;
  }
}

/// Sends server-sent events, before the first of them the header.
asio::awaitable<bool> Connection::write_events(std::string_view events, bool first, bool last) {
  std::string bytes;
  if (first) {
    if (http_1_0_) keep_alive_ = false;
    bytes = head(200, "text/event-stream; charset=utf-8",
                 http_1_0_ ? "Cache-Control: no-cache\r\nX-Accel-Buffering: no\r\n"
                           : "Cache-Control: no-cache\r\nX-Accel-Buffering: no\r\nTransfer-Encoding: chunked\r\n") +
            "\r\n";
  }
  if (http_1_0_) {
    bytes += events;
  } else {
    bytes += fmt::format("{:x}\r\n{}\r\n{}", events.size(), events, last ? "0\r\n\r\n" : "");
  }
  co_return co_await write(bytes);
}

}  // namespace calliope::server

#include <fmt/format.h>

#include <utility>

#include "api/chat_response.h"
#include "api/transcription_request.h"
#include "api/transcription_response.h"
#include "hearing/transcriber.h"
#include "hearing/transcription_question.h"
#include "server/connection.h"

namespace calliope::server {

/// One transcription on its way through the engine.
struct PendingTranscription {
  api::TranscriptionRequest request;
  std::unique_ptr<hearing::Transcriber> transcriber = {};
  std::optional<BodyClaim> sound_claim = {};
  std::stop_source stop = {};

  api::Transcript transcript() const {
    constexpr double kRate = assistant::Sound::kSampleRate;
    api::Transcript result{.duration_s = static_cast<double>(request.sound->samples.size()) / kRate,
                           .language = std::string(hearing::language_name(request.language)),
                           .temperature = request.temperature};
    for (const hearing::Segment& segment : transcriber->segments()) {
      result.segments.push_back({static_cast<double>(segment.where.begin) / kRate,
                                 static_cast<double>(segment.where.end) / kRate, segment.text});
    }
    return result;
  }
};

namespace {

using Clock = std::chrono::steady_clock;

}  // namespace

asio::awaitable<void> Connection::transcription(Parser& parser) {
  const std::string content_type(parser.get()[http::field::content_type]);
  const bool read = co_await read_body_of_type(parser, "multipart/form-data");
  if (!read) co_return;
  std::string body = std::move(parser.get().body());
  PendingTranscription pending;
  const auto active = context_->active.add(pending.stop);
  api::ErrorStage stage = api::ErrorStage::request;
  const auto work = [&]() -> Result<void> {
    TRY(pending.request,
        api::parse_transcription(content_type, body, {.decoder = *context_->decoder, .models = context_->models}));
    body = {};
    const api::TranscriptionRequest& request = pending.request;
    pending.sound_claim.emplace(context_->transcribed_bytes, request.sound->samples.size() * sizeof(float));
    if (!pending.sound_claim->within(context_->options.all_transcribed_bytes)) {
      return std::unexpected(
          Error{ErrorCode::unavailable, "The server is transcribing too many long sounds; try again shortly.", {}, 5});
    }
    const bool timed = request.format != api::TranscriptFormat::json && request.format != api::TranscriptFormat::text;
    hearing::TranscriptionJob job =
        hearing::transcription_job(context_->engine->transcription_style(), {.sound = request.sound,
                                                                             .language = request.language,
                                                                             .prompt = request.prompt,
                                                                             .temperature = request.temperature,
                                                                             .timed = timed});
    job.id = job.user = log_.id;
    job.max_wait_s = max_wait_s_;
    pending.transcriber = std::make_unique<hearing::Transcriber>(*context_->engine, std::move(job), pending.stop);
    stage = api::ErrorStage::engine;
    return pending.transcriber->begin();
  };
  const Result<void> begun = co_await on_worker(*context_, work);
  body_claim_.reset();
  log_.answered = begun.has_value();
  log_.api = "transcription";
  if (!begun) co_return co_await refuse_transcription(begun.error(), stage);
  pending.transcriber->attach(waker());
  if (pending.request.stream) {
    co_await transcribe_streamed(pending);
  } else {
    co_await transcribe_whole(pending);
  }
}

/// Tells an error; the engine's of the conversation are the file's.
asio::awaitable<void> Connection::refuse_transcription(Error error, api::ErrorStage stage) {
  if (error.field == "messages") error.field = "file";
  const api::ErrorReply reply = api::error_reply(error, stage);
  std::string headers;
  if (reply.retry_after_s > 0) headers = fmt::format("Retry-After: {}\r\n", reply.retry_after_s);
  co_await send_error(reply, std::move(headers));
}

asio::awaitable<void> Connection::transcribe_whole(PendingTranscription& pending) {
  const NextEvent next = [&] { return pending.transcriber->next(); };
  std::string text;
  std::optional<assistant::Event> event;
  while (true) {
    const Wait wait = co_await wait_for(next, event, Clock::time_point::max());
    if (wait == Wait::gone) co_return;
    if (const auto* delta = std::get_if<assistant::TextDelta>(&*event)) {
      note_first_text();
      text += delta->text;
    } else if (const auto* failed = std::get_if<assistant::Failed>(&*event)) {
      co_return co_await refuse_transcription(failed->error, api::ErrorStage::engine);
    } else if (const auto* end = std::get_if<assistant::Finished>(&*event)) {
      log_.usage = end->usage;
      if (end->reason == assistant::FinishReason::cancelled) {
        const api::ErrorText stopped{.status = 503,
                                     .message = "The server stopped before the transcript was complete.",
                                     .type = "server_error",
                                     .code = "cancelled"};
        co_return co_await send_error(api::error_reply(stopped), "Retry-After: 5\r\n");
      }
      api::Transcript transcript = pending.transcript();
      transcript.text = std::move(text);
      transcript.usage = end->usage;
      Reply reply{.content_type = api::transcript_media_type(pending.request.format),
                  .body = api::write_transcript(transcript, pending.request.format)};
      co_return co_await send(std::move(reply));
    }
  }
}

/// Sends the text as it comes. The header waits for the first event, so that an early failure has its own status.
asio::awaitable<void> Connection::transcribe_streamed(PendingTranscription& pending) {
  const NextEvent next = [&] { return pending.transcriber->next(); };
  const auto heartbeat = context_->options.heartbeat;
  std::optional<assistant::Event> event;
  std::string text;
  bool begun = false;
  for (bool finished = false; !finished;) {
    const Wait wait = co_await wait_for(next, event, Clock::now() + heartbeat);
    if (wait == Wait::gone) co_return;
    const auto* failed = wait == Wait::event ? std::get_if<assistant::Failed>(&*event) : nullptr;
    if (failed != nullptr && !begun) co_return co_await refuse_transcription(failed->error, api::ErrorStage::engine);
    std::string out;
    if (wait == Wait::timeout) {
      out = ": still listening\n\n";
    } else if (const auto* delta = std::get_if<assistant::TextDelta>(&*event)) {
      note_first_text();
      text += delta->text;
      out = api::transcript_event::delta(delta->text);
    } else if (failed != nullptr) {
      log_.outcome = "error";
      log_.detail = failed->error.message;
      context_->metrics.error(api::error_reply(failed->error, api::ErrorStage::engine).code);
      out = api::ChatStream::fail(failed->error);
      finished = true;
    } else if (const auto* end = std::get_if<assistant::Finished>(&*event)) {
      log_.usage = end->usage;
      if (end->reason == assistant::FinishReason::cancelled) {
        log_.outcome = "cancelled";
        out = api::ChatStream::fail({ErrorCode::unavailable, "The server stopped before the transcript was complete."});
      } else {
        out = api::transcript_event::done(text, end->usage);
      }
      finished = true;
    }
    const bool written = co_await write_events(out, !std::exchange(begun, true), finished);
    if (!written) co_return;
  }
}

/// There is no translation beside transcription: a chat may ask for anything.
asio::awaitable<void> Connection::refuse_translation() {
  const api::ErrorText text{
      .status = 400,
      .message =
          "Translations are not made here; POST /v1/audio/transcriptions writes down what is said, and POST "
          "/v1/chat/completions takes a sound with any question about it.",
      .code = "unsupported_endpoint"};
  co_await send_error(api::error_reply(text));
}

}  // namespace calliope::server

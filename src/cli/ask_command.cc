#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <mutex>
#include <optional>
#include <stop_token>
#include <utility>
#include <vector>

#include "base/thread_pool.h"
#include "cli/commands.h"
#include "cli/media_files.h"
#include "engine/engine.h"

namespace calliope::cli {
namespace {

using Clock = std::chrono::steady_clock;

// Prints text as it comes and keeps the samples; wait() returns when the last event has come.
class TerminalSink final : public assistant::Sink {
 public:
  void on_event(assistant::Event event) override {
    std::lock_guard lock(mutex_);
    if (const auto* text = std::get_if<assistant::TextDelta>(&event)) {
      if (!first_text_) first_text_ = Clock::now();
      text_ += text->text;
      std::fwrite(text->text.data(), 1, text->text.size(), stdout);
      std::fflush(stdout);
    } else if (auto* audio = std::get_if<assistant::AudioDelta>(&event)) {
      if (!first_audio_) first_audio_ = Clock::now();
      samples_.insert(samples_.end(), audio->samples.begin(), audio->samples.end());
    } else if (const auto* mark = std::get_if<assistant::SpokenMark>(&event)) {
      marks_.push_back(*mark);
    } else if (std::holds_alternative<assistant::Finished>(event) || std::holds_alternative<assistant::Failed>(event)) {
      last_ = std::move(event);
      ended_.notify_all();
    }
  }

  assistant::Event wait() {
    std::unique_lock lock(mutex_);
    ended_.wait(lock, [&] { return last_.has_value(); });
    return *last_;
  }

  const std::vector<float>& samples() const { return samples_; }
  const std::vector<assistant::SpokenMark>& marks() const { return marks_; }
  const std::string& text() const { return text_; }
  std::optional<Clock::time_point> first_text() const { return first_text_; }
  std::optional<Clock::time_point> first_audio() const { return first_audio_; }

 private:
  std::mutex mutex_;
  std::condition_variable ended_;
  std::optional<assistant::Event> last_;
  std::string text_;
  std::vector<float> samples_;
  std::vector<assistant::SpokenMark> marks_;
  std::optional<Clock::time_point> first_text_, first_audio_;
};

Result<assistant::Request> request_of(const AskOptions& options) {
  assistant::Request request;
  request.id = "ask";
  request.sampling.temperature = options.temperature;
  request.max_tokens = options.max_tokens;
  request.speak = !options.speak.empty();
  request.voice = options.voice;
  if (!options.system.empty()) request.turns.push_back({assistant::Role::system, {options.system}});
  assistant::Turn turn;
  const auto decoder = make_media_decoder();
  for (const std::string& path : options.images) {
    TRY(auto image, read_image(*decoder, path));
    turn.parts.emplace_back(std::move(image));
  }
  for (const std::string& path : options.sounds) {
    TRY(auto sound, read_sound(*decoder, path));
    turn.parts.emplace_back(std::move(sound));
  }
  if (!options.text.empty()) turn.parts.emplace_back(options.text);
  if (turn.parts.empty()) {
    return fail(ErrorCode::invalid_argument, "nothing was asked: give a text, --image or --audio, for example\n  calliope ask \"What is the capital of France?\"");
  }
  request.turns.push_back(std::move(turn));
  return request;
}

double ms(Clock::duration duration) { return std::chrono::duration<double, std::milli>(duration).count(); }

Result<void> ask(const AskOptions& options) {
  if (options.threads > 0) set_thread_count(options.threads);
  if (!options.speak.empty()) TRY_VOID(check_writable(options.speak));
  TRY(auto request, request_of(options));
  const auto start = Clock::now();
  TRY(auto model, model::load_model(options.model.empty() ? default_model() : options.model));
  TRY_VOID(model::check_chat_tokens(*model));
  const auto loaded = Clock::now();
  engine::Engine engine(std::move(model), {});
  const auto sink = std::make_shared<TerminalSink>();
  TRY_VOID(engine.submit(std::move(request), sink, {}));
  const assistant::Event last = sink->wait();
  const auto ended = Clock::now();
  if (const auto* failed = std::get_if<assistant::Failed>(&last)) return std::unexpected(failed->error);
  std::putchar('\n');
  if (!options.speak.empty()) TRY_VOID(write_wav(options.speak, sink->samples()));
  for (size_t i = 0, from = 0; options.words && i < sink->marks().size(); from = sink->marks()[i++].text_bytes) {
    const assistant::SpokenMark& mark = sink->marks()[i];
    std::fprintf(stderr, "%.3f\t%zu\t%s\n", static_cast<double>(mark.samples) / assistant::kSpeechSampleRate, mark.text_bytes,
                 sink->text().substr(from, mark.text_bytes - from).c_str());
  }
  if (options.times) {
    const auto& usage = std::get<assistant::Finished>(last).usage;
    std::fprintf(stderr, "loaded in %.0f ms; %d prompt tokens (%d audio, %d image), %d answer tokens, %d audio frames\n", ms(loaded - start),
                 usage.prompt_tokens, usage.prompt_audio_tokens, usage.prompt_image_tokens, usage.completion_tokens, usage.completion_audio_frames);
    if (sink->first_text()) std::fprintf(stderr, "first text after %.1f ms, ", ms(*sink->first_text() - loaded));
    if (sink->first_audio()) std::fprintf(stderr, "first sound after %.1f ms, ", ms(*sink->first_audio() - loaded));
    std::fprintf(stderr, "all after %.1f ms\n", ms(ended - loaded));
  }
  return {};
}

}  // namespace

int run_ask(const AskOptions& options) {
  if (auto asked = ask(options); !asked) return complain("ask", asked.error());
  return 0;
}

}  // namespace calliope::cli

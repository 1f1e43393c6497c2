#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <mutex>
#include <optional>
#include <stop_token>
#include <utility>

#include "api/transcription_response.h"
#include "base/thread_pool.h"
#include "cli/commands.h"
#include "cli/media_files.h"
#include "engine/engine.h"
#include "hearing/transcriber.h"
#include "hearing/transcription_question.h"

namespace calliope::cli {
namespace {

using Clock = std::chrono::steady_clock;

/// Lets the engine's thread wake the one that waits.
class Bell {
 public:
  void ring() {
    const std::lock_guard lock(mutex_);
    rung_ = true;
    wake_.notify_one();
  }
  void wait() {
    std::unique_lock lock(mutex_);
    wake_.wait_for(lock, std::chrono::milliseconds(200), [this] { return rung_; });
    rung_ = false;
  }

 private:
  std::mutex mutex_;
  std::condition_variable wake_;
  bool rung_ = false;
};

/// Text is printed as it comes, other formats when all is known.
Result<void> transcribe(engine::Engine& engine, const assistant::SoundPart& sound, const TranscribeOptions& options) {
  const bool as_it_comes = options.format == "text";
  TRY(const api::TranscriptFormat format, api::transcript_format(options.format, "--format"));
  hearing::TranscriptionJob job =
      hearing::transcription_job(engine.transcription_style(), {.sound = sound,
                                                                .language = options.language,
                                                                .prompt = options.prompt,
                                                                .timed = !as_it_comes && options.format != "json"});
  job.id = "transcribe";
  Bell bell;
  hearing::Transcriber transcriber(engine, std::move(job), std::stop_source());
  TRY_VOID(transcriber.begin());
  transcriber.attach([&bell] { bell.ring(); });
  api::Transcript transcript{.duration_s = static_cast<double>(sound->samples.size()) / assistant::Sound::kSampleRate,
                             .language = std::string(hearing::language_name(options.language))};
  while (true) {
    std::optional<assistant::Event> event = transcriber.next();
    if (!event) {
      bell.wait();
    } else if (auto* text = std::get_if<assistant::TextDelta>(&*event)) {
      transcript.text += text->text;
      if (!as_it_comes) continue;
      std::ranges::replace(text->text, '\n', ' ');  // a line for each file
      std::fwrite(text->text.data(), 1, text->text.size(), stdout);
      std::fflush(stdout);
    } else if (auto* failed = std::get_if<assistant::Failed>(&*event)) {
      if (as_it_comes && !transcript.text.empty()) std::putchar('\n');
      return std::unexpected(std::move(failed->error));
    } else if (const auto* end = std::get_if<assistant::Finished>(&*event)) {
      transcript.usage = end->usage;
      break;
    }
  }
  for (const hearing::Segment& segment : transcriber.segments()) {
    constexpr double kRate = assistant::Sound::kSampleRate;
    transcript.segments.push_back({static_cast<double>(segment.where.begin) / kRate,
                                   static_cast<double>(segment.where.end) / kRate, segment.text});
  }
  std::string rest = as_it_comes ? "\n" : api::write_transcript(transcript, format);
  if (!rest.ends_with('\n')) rest += '\n';
  std::fwrite(rest.data(), 1, rest.size(), stdout);
  std::fflush(stdout);
  return {};
}

Result<int> transcribe_files(const TranscribeOptions& options) {
  if (options.threads > 0) set_thread_count(options.threads);
  TRY(auto model, model::load_model(options.model.empty() ? default_model() : options.model));
  TRY_VOID(model::check_chat_tokens(*model));
  engine::Engine engine(std::move(model), {});
  const auto decoder = make_media_decoder();
  int status = 0;
  for (const std::string& path : options.files) {
    const auto start = Clock::now();
    auto sound = read_sound(*decoder, path);
    const auto done =
        sound ? transcribe(engine, *sound, options) : Result<void>(std::unexpected(std::move(sound).error()));
    if (!done) {  // the others may be better
      status = complain("transcribe", done.error());
    } else if (options.times) {
      std::fprintf(stderr, "%s: %.1f s of sound in %.0f ms\n", path.c_str(),
                   static_cast<double>((*sound)->samples.size()) / assistant::Sound::kSampleRate,
                   std::chrono::duration<double, std::milli>(Clock::now() - start).count());
    }
  }
  return status;
}

}  // namespace

int run_transcribe(const TranscribeOptions& options) {
  auto status = transcribe_files(options);
  return status ? *status : complain("transcribe", status.error());
}

}  // namespace calliope::cli

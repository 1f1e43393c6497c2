#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <cstring>
#include <memory>
#include <mutex>
#include <optional>
#include <stop_token>
#include <utility>
#include <vector>

#include "api/speech_request.h"
#include "base/thread_pool.h"
#include "base/utf8.h"
#include "cli/commands.h"
#include "cli/media_files.h"
#include "engine/engine.h"
#include "engine/reading.h"
#include "media/sound_writer.h"

namespace calliope::cli {
namespace {

using Clock = std::chrono::steady_clock;

// Hands samples from the engine's thread to the one that writes; the engine rests when it is far ahead.
class SampleQueue final : public assistant::Sink {
 public:
  void on_event(assistant::Event event) override {
    const std::lock_guard lock(mutex_);
    if (auto* audio = std::get_if<assistant::AudioDelta>(&event)) {
      samples_.insert(samples_.end(), audio->samples.begin(), audio->samples.end());
    } else if (std::holds_alternative<assistant::Finished>(event) || std::holds_alternative<assistant::Failed>(event)) {
      last_ = std::move(event);
    } else {
      return;
    }
    wake_.notify_all();
  }
  bool full() const override {
    constexpr size_t kMost = size_t{60} * assistant::kSpeechSampleRate;
    const std::lock_guard lock(mutex_);
    return samples_.size() > kMost;
  }
  // What has come; nothing when all has, and last() then tells how it ended.
  std::vector<float> take() {
    std::unique_lock lock(mutex_);
    wake_.wait(lock, [&] { return !samples_.empty() || last_; });
    return std::exchange(samples_, {});
  }
  const assistant::Event& last() const { return *last_; }

 private:
  mutable std::mutex mutex_;
  std::condition_variable wake_;
  std::vector<float> samples_;
  std::optional<assistant::Event> last_;
};

Result<std::string> text_of(const SpeakOptions& options) {
  if (!options.file.empty()) return model::read_file(options.file, engine::Reading::kMostBytes);
  if (!options.text.empty() && options.text != "-") return options.text;
  if (options.text.empty() && isatty(STDIN_FILENO)) {
    return fail(ErrorCode::invalid_argument,
                "there is nothing to read: give a text, --file or a pipe, for example\n  calliope speak \"Hello "
                "there.\" -o hello.wav");
  }
  std::string text;
  char bytes[1 << 14];
  for (size_t count = 0; (count = std::fread(bytes, 1, sizeof bytes, stdin)) > 0;) {
    text.append(bytes, count);
    if (text.size() > engine::Reading::kMostBytes) {
      return fail(ErrorCode::too_large, "standard input has more than 1 MiB, the most that is read at once");
    }
  }
  return text;
}

// --format, else what the file's name ends with, else WAV.
Result<media::SoundFormat> format_of(const SpeakOptions& options) {
  if (!options.format.empty()) return *api::speech_format_of(options.format);
  const size_t dot = options.out.rfind('.');
  std::string end = dot == std::string::npos ? "" : options.out.substr(dot + 1);
  std::ranges::transform(end, end.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  if (end == "ogg") end = "opus";
  if (const auto known = api::speech_format_of(end)) return *known;
  if (options.out == "-" || end.empty()) return media::SoundFormat::wav;
  return fail(ErrorCode::invalid_argument,
              "it is not known what kind of sound '." + end +
                  "' is; name it with --format, or end the file's name in .wav, .mp3, .opus, .aac, .flac or .pcm");
}

// A file, or standard output.
class Output {
 public:
  static Result<Output> open(const std::string& path) {
    Output output;
    output.path_ = path;
    output.file_ = path == "-" ? stdout : std::fopen(path.c_str(), "wb");
    if (!output.file_) return fail(ErrorCode::io, "cannot write " + path + ": " + std::strerror(errno), path);
    return output;
  }
  Output() = default;
  Output(Output&& other) noexcept : path_(std::move(other.path_)), file_(std::exchange(other.file_, nullptr)) {}
  Output& operator=(Output&& other) noexcept {
    std::swap(path_, other.path_);
    std::swap(file_, other.file_);
    return *this;
  }
  ~Output() {
    if (file_ && file_ != stdout) std::fclose(file_);
  }

  Result<void> write(const std::vector<uint8_t>& bytes) {
    const bool written = std::fwrite(bytes.data(), 1, bytes.size(), file_) == bytes.size() && std::fflush(file_) == 0;
    if (!written) return fail(ErrorCode::io, "cannot write " + path_ + ": " + std::strerror(errno), path_);
    size_ += bytes.size();
    return {};
  }
  // Now that the size is known. A pipe keeps the header that does without.
  Result<void> complete_wav() {
    const std::vector<uint8_t> open = media::wav_header(assistant::kSpeechSampleRate, std::nullopt);
    if (path_ == "-" || size_ < open.size() || size_ > UINT32_MAX || std::fseek(file_, 0, SEEK_SET) != 0) return {};
    return write(media::wav_header(assistant::kSpeechSampleRate, static_cast<uint32_t>(size_ - open.size())));
  }

 private:
  std::string path_;
  std::FILE* file_ = nullptr;
  size_t size_ = 0;
};

double ms(Clock::duration duration) { return std::chrono::duration<double, std::milli>(duration).count(); }

Result<void> speak(const SpeakOptions& options) {
  if (options.threads > 0) set_thread_count(options.threads);
  if (options.out == "-" && isatty(STDOUT_FILENO)) {
    return fail(ErrorCode::invalid_argument,
                "sound on a terminal is only noise: name a file with -o, or pipe it, for example\n  calliope speak "
                "\"Hello there.\" -o - | aplay");
  }
  TRY(const media::SoundFormat format, format_of(options));
  if (options.out != "-") TRY_VOID(check_writable(options.out));
  assistant::Request request{.id = "speak", .speak = true};
  TRY(const std::string text, text_of(options));
  request.read_aloud = utf8_lossy(text);
  if (request.read_aloud.empty())
    return fail(ErrorCode::invalid_argument, "there is nothing to read: the text is empty");
  if (!options.instructions.empty()) request.turns.push_back({assistant::Role::user, {options.instructions}});
  request.sampling.seed = options.seed;

  TRY(const auto model, model::load_model(options.model.empty() ? default_model() : options.model));
  if (!model->speaks()) {
    return fail(
        ErrorCode::unsupported,
        "this model has no voice: its checkpoint has no talker and code2wav. calliope info shows a model's parts");
  }
  TRY_VOID(model::check_chat_tokens(*model));
  engine::Engine engine(model, {});
  if (!options.voice.empty()) {
    const auto voices = engine.voices();
    TRY(request.voice, api::known_voice(options.voice, voices));
  }
  TRY(const auto writer,
      media::SoundWriter::open({.format = format, .rate = assistant::kSpeechSampleRate, .speed = options.speed}));
  const auto start = Clock::now();
  const auto queue = std::make_shared<SampleQueue>();
  std::stop_source stop;
  TRY_VOID(engine.submit(std::move(request), queue, stop.get_token()));

  Output output;
  std::optional<Clock::time_point> first;
  std::vector<uint8_t> bytes;
  size_t samples = 0;
  const auto write = [&]() -> Result<void> {
    if (!first) {  // a reading that fails before it begins leaves no file
      TRY(output, Output::open(options.out));
      first = Clock::now();
    }
    TRY_VOID(output.write(bytes));
    bytes.clear();
    return {};
  };
  for (std::vector<float> piece = queue->take(); !piece.empty(); piece = queue->take()) {
    samples += piece.size();
    TRY_VOID(writer->push(piece, bytes));
    if (bytes.empty()) continue;
    if (auto written = write(); !written) {
      stop.request_stop();
      return written;
    }
  }
  if (const auto* failed = std::get_if<assistant::Failed>(&queue->last())) return std::unexpected(failed->error);
  TRY_VOID(writer->finish(bytes));
  TRY_VOID(write());
  if (format == media::SoundFormat::wav) TRY_VOID(output.complete_wav());
  if (options.times) {
    std::fprintf(stderr, "first sound after %.1f ms, all %.2f s of it after %.1f ms\n", ms(*first - start),
                 double(samples) / assistant::kSpeechSampleRate / options.speed, ms(Clock::now() - start));
  }
  return {};
}

}  // namespace

int run_speak(const SpeakOptions& options) {
  if (auto spoken = speak(options); !spoken) return complain("speak", spoken.error());
  return 0;
}

}  // namespace calliope::cli

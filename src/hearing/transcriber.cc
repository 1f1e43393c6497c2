#include "hearing/transcriber.h"

#include <algorithm>
#include <mutex>
#include <utility>

#include "base/utf8.h"
#include "hearing/transcription_question.h"

namespace calliope::hearing {

namespace {

constexpr std::string_view kBlanks = " \t\r\n";
/// More than the fastest speakers need, so that a model that repeats itself comes to an end.
constexpr int kTokensASecond = 16, kTokensAtLeast = 32;

/// Characters of scripts that are written without blanks between words.
bool unspaced(char32_t c) {
  return (c >= 0x0E00 && c < 0x0F00) || (c >= 0x2E80 && c < 0xAC00) || (c >= 0xF900 && c < 0xFB00) ||
         (c >= 0xFF00 && c < 0xFFF0) || (c >= 0x20000 && c < 0x40000);
}

char32_t first_of(std::string_view text) {
  size_t at = 0;
  return utf8_next(text, at);
}

char32_t last_of(std::string_view text) {
  size_t at = text.size() - 1;
  while (at > 0 && (static_cast<unsigned char>(text[at]) & 0xC0) == 0x80) --at;
  return utf8_next(text, at);
}

}  // namespace

TranscriptionJob transcription_job(const assistant::TranscriptionStyle& style, TranscriptionWish wish) {
  CutOptions options{.most_samples = int64_t{style.most_seconds} * assistant::Sound::kSampleRate};
  if (wish.timed) options.join_samples = assistant::Sound::kSampleRate / 2;
  std::vector<Stretch> pieces = cut_at_silences(wish.sound->samples, options);
  return {.sound = std::move(wish.sound),
          .pieces = std::move(pieces),
          .question = transcription_question(style, wish.language, wish.prompt),
          .temperature = wish.temperature};
}

/// What the engine said, by piece.
struct Transcriber::Inbox {
  std::mutex mutex;
  std::deque<std::pair<size_t, assistant::Event>> events;
  std::function<void()> wake;
};

class Transcriber::PieceSink final : public assistant::Sink {
 public:
  PieceSink(std::shared_ptr<Inbox> inbox, size_t piece) : inbox_(std::move(inbox)), piece_(piece) {}
  void on_event(assistant::Event event) override {
    const std::lock_guard lock(inbox_->mutex);
    inbox_->events.emplace_back(piece_, std::move(event));
    if (inbox_->wake) inbox_->wake();
  }

 private:
  const std::shared_ptr<Inbox> inbox_;
  const size_t piece_;
};

Transcriber::Transcriber(assistant::Engine& engine, TranscriptionJob job, std::stop_source stop)
    : engine_(engine),
      job_(std::move(job)),
      stop_(std::move(stop)),
      inbox_(std::make_shared<Inbox>()),
      pieces_(job_.pieces.size()) {}

Transcriber::~Transcriber() {
  detach();
  stop_.request_stop();  // without effect when all is done
}

Result<void> Transcriber::begin() {
  if (pieces_.empty()) {  // nothing was said
    end(assistant::Finished{});
    return {};
  }
  return submit_next();
}

void Transcriber::attach(std::function<void()> wake) {
  const std::lock_guard lock(inbox_->mutex);
  inbox_->wake = std::move(wake);
  if (!inbox_->events.empty()) inbox_->wake();
}

void Transcriber::detach() {
  const std::lock_guard lock(inbox_->mutex);
  inbox_->wake = nullptr;
}

Result<void> Transcriber::submit_next() {
  const Stretch& where = job_.pieces[submitted_];
  auto sound = std::make_shared<assistant::Sound>();
  const auto from = job_.sound->samples.begin();
  sound->samples.assign(from + where.begin, from + where.end);
  assistant::Request request;
  request.id = job_.id;
  request.user = job_.user;
  if (submitted_ == 0) request.max_wait_s = job_.max_wait_s;
  request.turns = {{.role = assistant::Role::user, .parts = {assistant::SoundPart(std::move(sound)), job_.question}}};
  request.sampling.temperature = job_.temperature;
  request.max_tokens = kTokensAtLeast + static_cast<int>(where.size() * kTokensASecond / assistant::Sound::kSampleRate);
  TRY_VOID(engine_.submit(std::move(request), std::make_shared<PieceSink>(inbox_, submitted_), stop_.get_token()));
  ++submitted_;
  return {};
}

void Transcriber::submit_more(Clock::time_point now) {
  while (!ended_ && submitted_ < pieces_.size() && submitted_ < current_ + job_.at_once && now >= retry_at_) {
    auto submitted = submit_next();
    if (submitted) {
      refused_since_.reset();
      continue;
    }
    const Error& error = submitted.error();
    if (!refused_since_) refused_since_ = now;
    if (error.code != ErrorCode::unavailable || now - *refused_since_ >= kPatience)
      return end(assistant::Failed{error});
    retry_at_ = now + std::chrono::milliseconds(500);
  }
}

void Transcriber::end(assistant::Event event) {
  ended_ = true;
  if (!std::holds_alternative<assistant::Finished>(event)) stop_.request_stop();
  out_.push_back(std::move(event));
}

void Transcriber::take_inbox() {
  std::deque<std::pair<size_t, assistant::Event>> events;
  {
    const std::lock_guard lock(inbox_->mutex);
    events.swap(inbox_->events);
  }
  for (auto& [index, event] : events) {
    if (ended_) return;
    if (const auto* text = std::get_if<assistant::TextDelta>(&event)) {
      pieces_[index].waiting += text->text;
    } else if (std::holds_alternative<assistant::Failed>(event)) {
      end(std::move(event));
    } else if (const auto* finished = std::get_if<assistant::Finished>(&event)) {
      usage_.prompt_tokens += finished->usage.prompt_tokens;
      usage_.prompt_audio_tokens += finished->usage.prompt_audio_tokens;
      usage_.prompt_cached_tokens += finished->usage.prompt_cached_tokens;
      usage_.completion_tokens += finished->usage.completion_tokens;
      if (finished->reason == assistant::FinishReason::cancelled) {
        end(assistant::Finished{assistant::FinishReason::cancelled, usage_});
      } else {
        if (finished->reason == assistant::FinishReason::length) reason_ = assistant::FinishReason::length;
        pieces_[index].done = true;
      }
    }
  }
}

/// Text of the current piece, without blanks at its ends, and with one before it where words have blanks between them.
void Transcriber::tell_current() {
  Piece& piece = pieces_[current_];
  std::string text = std::exchange(piece.blanks, {}) + std::exchange(piece.waiting, {});
  const size_t last = text.find_last_not_of(kBlanks);
  if (last == std::string::npos) {
    if (!piece.told.empty()) piece.blanks = std::move(text);
    return;
  }
  piece.blanks = text.substr(last + 1);
  text.resize(last + 1);
  if (piece.told.empty()) {
    text.erase(0, text.find_first_not_of(kBlanks));
    piece.told = text;
    if (last_told_ != 0 && !unspaced(last_told_) && !unspaced(first_of(text))) text.insert(0, 1, ' ');
  } else {
    piece.told += text;
  }
  last_told_ = last_of(text);
  out_.push_back(assistant::TextDelta{std::move(text)});
}

std::optional<assistant::Event> Transcriber::next(Clock::time_point now) {
  if (out_.empty() && !ended_) {
    take_inbox();
    while (!ended_ && current_ < pieces_.size()) {
      tell_current();
      if (!pieces_[current_].done) break;
      ++current_;
    }
    if (!ended_ && current_ == pieces_.size()) end(assistant::Finished{reason_, usage_});
    submit_more(now);
  }
  if (out_.empty()) return std::nullopt;
  assistant::Event event = std::move(out_.front());
  out_.pop_front();
  return event;
}

std::vector<Segment> Transcriber::segments() const {
  std::vector<Segment> said;
  for (size_t i = 0; i < pieces_.size(); ++i) {
    if (!pieces_[i].told.empty()) said.push_back({job_.pieces[i], pieces_[i].told});
  }
  return said;
}

}  // namespace calliope::hearing

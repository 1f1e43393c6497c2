// What a session says aloud, and the words of which it is told that they were said.
#include <algorithm>
#include <random>
#include <utility>

#include "engine/session.h"

namespace calliope::engine {
namespace {

constexpr double kSlowReaderS = 30;

}  // namespace

// There is no prompt to run and no text to wait for.
void Session::begin_reading() {
  auto reading = Reading::make(*model_, request_, most_.talker);
  if (!reading) return fail(std::move(reading).error());
  reading_ = *std::move(reading);
  prompt_whole_ = text_ended_ = true;
  text_bytes_ = request_.read_aloud.size();
  speech_options_.seed = request_.sampling.seed.value_or(std::random_device{}());
}

void Session::take_speech() {
  const auto& samples = speech_->outcome();
  if (!samples) return fail(samples.error());
  const int frames = frames_before_ + speech_->frames();
  meter_->stats.audio_frames += static_cast<uint64_t>(frames - usage_.completion_audio_frames);
  usage_.completion_audio_frames = frames;
  if (reading_) {
    send_sound(reading_->take(*samples, speech_->done()));
    if (speech_->done()) end_passage();
  } else {
    send_sound({samples->begin(), samples->end()});
  }
}

void Session::begin_passage() {
  auto text = reading_->begin(sent_samples_);
  if (!text) return fail(std::move(text).error());
  usage_.prompt_tokens += static_cast<int>(text->tokens.size());
  speech_options_.max_frames = text->most_frames;
  speech_options_.lead_frames = model_->generation.talker_lead_frames;
  speech_.emplace(*model_, reading_->prompt(), tensor::ConstRows{}, request_.voice, speech_options_, talker_memory_);
  for (size_t i = 0; i < text->tokens.size(); ++i) speech_->push(text->tokens[i], text->pieces[i]);
  speech_->finish_text();
}

void Session::end_passage() {
  if (ended_) return;
  speech_->words().settle(true);
  tell_words();
  if (!reading_->more()) return;
  tell({reading_->read_bytes(), sent_samples_});
  frames_before_ += speech_->frames();
  send_sound(std::vector<float>(static_cast<size_t>(reading_->pause_samples())));
  if (!ended_) begin_passage();
}

void Session::send_sound(std::vector<float> samples) {
  if (samples.empty()) return;
  const Time now = meter_->now();
  if (!playback_.begun()) meter_->stats.first_audio_seconds.add(seconds_between(asked_at_, now));
  const auto count = static_cast<int64_t>(samples.size());
  const double gap = playback_.sent(static_cast<int64_t>(static_cast<double>(count) / request_.playback_speed), now);
  if (gap > 0 && live()) {
    ++meter_->stats.playback_gaps;
    meter_->stats.playback_gap_seconds += gap;
  }
  meter_->stats.audio_samples += samples.size();
  answering_ = true;
  send(assistant::AudioDelta{std::move(samples)});
  if (ended_) return;
  sent_samples_ += count;
  tell_words();
}

void Session::tell_words() {
  if (!reading_) {
    while (const auto mark = speech_->words().next(sent_samples_)) tell(*mark);
    return;
  }
  while (const auto mark = speech_->words().next(reading_->given())) {
    const assistant::SpokenMark placed = reading_->place(*mark);
    if (placed.text_bytes > marked_.text_bytes) tell(placed);  // several words may say one of the text
  }
}

bool Session::resting() {
  if (!reading_ || ended_ || !sink_->full()) return false;
  if (live() && playback_.begun() && playback_.ahead_s(meter_->now()) < -kSlowReaderS) {
    fail({ErrorCode::unavailable, "The sound was cancelled because it was not read as fast as it is played."});
  }
  return true;
}

void Session::speak(int32_t token, std::string_view text) {
  if (spelling_)
    speak(spelling_->push(text));
  else
    speech_->push(token, text);
}

// The first token of a piece stands for all of its text.
void Session::speak(const std::vector<SpokenSpelling::Piece>& pieces) {
  for (const auto& [tokens, text] : pieces) {
    if (tokens.empty()) speech_->words().skip_text(text.size());
    for (size_t i = 0; i < tokens.size(); ++i) speech_->push(tokens[i], i == 0 ? std::string_view(text) : std::string_view());
  }
}

// Calls are not spoken. What is text all the same counts as text, so that the words after it are found.
void Session::speak_decided() {
  for (; !written_.empty(); written_.pop_front()) {
    const Written& written = written_.front();
    const auto said = tools_->said(written.begin, written.end);
    if (said == ToolCallReader::Said::later) return;
    if (said == ToolCallReader::Said::aloud) {
      speak(written.token, written.text);
    } else {
      if (spelling_) speak(spelling_->finish());
      speech_->words().skip_text(tools_->told(written.begin, written.end));
    }
  }
}

// Text that a stop string may still cut off has not been told.
void Session::tell(assistant::SpokenMark mark) {
  mark.text_bytes = std::min(mark.text_bytes, text_bytes_);
  if (mark.text_bytes <= marked_.text_bytes && mark.samples <= marked_.samples) return;
  marked_ = mark;
  sink_->on_event(mark);
}

}  // namespace calliope::engine

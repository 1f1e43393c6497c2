// Voice activity and whose turn it is, with a voice made here; how the detector does on people's recordings is in
// docs/realtime.md.
#include "realtime/test_talk.h"

namespace calliope::realtime {
namespace {

using Status = wire::ResponseView::Status;
using Kind = wire::TurnDetection::Kind;

wire::Session vad(std::function<void(wire::TurnDetection&)> change = {}) {
  wire::Session session;
  if (change) change(session.turn_detection);
  return session;
}

TEST_F(Talk, ATurnIsHeardAndAnswered) {
  start();
  be_quiet(800);
  EXPECT_EQ(count<wire::SpeechStarted>(), 0u);
  speak(1000);
  // While the person speaks, the engine hears: from 300 ms before.
  EXPECT_NEAR(static_cast<double>(only<wire::SpeechStarted>().audio_start_ms), 500, 120);
  ASSERT_EQ(engine_->asked.size(), 1u);
  EXPECT_EQ(prompt(0), "U:<live>|");
  const auto live = asked(0).live();
  EXPECT_NEAR(static_cast<double>(live->size().samples) / 16, 1300, 140);
  EXPECT_FALSE(live->size().ended);
  // After 200 ms of silence the answer is begun, and told after 500.
  be_quiet(300);
  EXPECT_TRUE(live->size().ended);
  tell_word(0, "Hi");
  EXPECT_EQ(count<wire::ResponseCreated>(), 0u);
  be_quiet(320);
  EXPECT_NEAR(static_cast<double>(only<wire::SpeechStopped>().audio_end_ms), 1800, 120);
  const std::string id = only<wire::SpeechStarted>().item_id;
  EXPECT_EQ(only<wire::SpeechStopped>().item_id, id);
  EXPECT_EQ(only<wire::InputCommitted>().item_id, id);
  EXPECT_EQ(all<wire::ItemAdded>()[0].item.id, id);
  EXPECT_EQ(count<wire::ResponseCreated>(), 1u);
  EXPECT_EQ(transcript(), "Hi");
  EXPECT_EQ(sent_samples(), 2400u);
  tell_end(0);
  EXPECT_EQ(only<wire::ResponseDone>().response.status, Status::completed);
  EXPECT_EQ(engine_->asked.size(), 1u);
  text("x");
  send(wire::CreateResponse{});
  EXPECT_EQ(prompt(1), "U:<sound>|A:Hi|U:x|");
  const auto& sound = std::get<assistant::SoundPart>(asked(1).request.turns[0].parts[0]);
  EXPECT_EQ(sound->samples.size(), live->size().samples);  // exactly what was heard
}

TEST_F(Talk, WhoGoesOnAfterAPauseLeavesNoTrace) {
  start();
  be_quiet(600);
  speak(600);
  be_quiet(350);
  EXPECT_TRUE(asked(0).live()->size().ended);
  tell_word(0, "Too early");
  speak(600);
  EXPECT_TRUE(asked(0).stopped());
  ASSERT_EQ(engine_->asked.size(), 2u);
  EXPECT_GT(asked(1).live()->size().samples, 16u * 1700);  // begun anew with all that was said
  be_quiet(700);
  tell_word(1, "Right");
  tell_end(1);
  EXPECT_EQ(count<wire::SpeechStarted>(), 1u);
  EXPECT_EQ(count<wire::SpeechStopped>(), 1u);
  EXPECT_EQ(count<wire::ResponseCreated>(), 1u);
  EXPECT_EQ(transcript(), "Right");
}

// The engine may refuse early what it was asked while the person spoke: only when the turn is over it has to answer.
TEST_F(Talk, WhoStillSpeaksIsNotRefused) {
  const Error busy{ErrorCode::unavailable, "The server is busy.", {}, 3};
  start();
  engine_->refuse = busy;
  speak(1000);
  engine_->refuse.reset();
  be_quiet(600);
  EXPECT_EQ(count<wire::ResponseDone>(), 0u);
  ASSERT_EQ(engine_->asked.size(), 1u);
  EXPECT_EQ(prompt(0), "U:<sound>|") << "asked again, with the whole turn";
  tell_word(0, "Hello");
  tell_end(0);
  EXPECT_EQ(transcript(), "Hello");
  // Later than that, too; and what was refused when the turn was over stays so.
  speak(1000);
  ASSERT_EQ(engine_->asked.size(), 2u);
  tell(1, assistant::Failed{busy});
  be_quiet(600);
  ASSERT_EQ(engine_->asked.size(), 3u);
  tell(2, assistant::Failed{busy});
  EXPECT_EQ(engine_->asked.size(), 3u);
  EXPECT_EQ(last<wire::ResponseDone>().response.status, wire::ResponseView::Status::failed);
  // What fails for another reason is not asked again.
  speak(1000);
  ASSERT_EQ(engine_->asked.size(), 4u);
  tell(3, assistant::Failed{{ErrorCode::internal, "A bug."}});
  be_quiet(600);
  EXPECT_EQ(engine_->asked.size(), 4u);
  EXPECT_EQ(last<wire::ResponseDone>().response.status, wire::ResponseView::Status::failed);
}

// Nor is anything left out of the conversation for it: whether the whole turn fits is known when it is over.
TEST_F(Talk, WhatIsTooLargeWhileThePersonSpeaksIsAskedAgainWhole) {
  const Error too_large{ErrorCode::too_large, "The prompt is too long."};
  start();
  for (int i = 0; i < 4; ++i) text(std::to_string(i));
  speak(1000);
  tell(0, assistant::Failed{too_large});
  EXPECT_EQ(engine_->asked.size(), 1u);
  be_quiet(600);
  ASSERT_EQ(engine_->asked.size(), 2u);
  EXPECT_EQ(prompt(1), "U:0|U:1|U:2|U:3|U:<sound>|");
  tell(1, assistant::Failed{too_large});
  ASSERT_EQ(engine_->asked.size(), 3u);
  EXPECT_EQ(prompt(2), "U:2|U:3|U:<sound>|");
  tell_word(2, "Hello");
  tell_end(2);
  EXPECT_EQ(count<wire::ResponseCreated>(), 1u);
  EXPECT_EQ(only<wire::ResponseDone>().response.status, wire::ResponseView::Status::completed);
}

TEST_F(Talk, SpeechInterruptsAtOnce) {
  start();
  text("Count.");
  send(wire::CreateResponse{});
  be_quiet(600);
  for (const char* word : {"One", " two", " three"}) tell_word(0, word);
  hold_ = true;
  tell_word(0, " four");
  conversation_->poll(now_);
  std::vector<uint8_t> bytes;
  media::to_wire(voice_.speak(200), media::WireFormat::pcm16, bytes);
  send(wire::AppendInput{bytes});
  hold_ = false;
  take();
  EXPECT_TRUE(asked(0).stopped());
  EXPECT_EQ(sent_samples(), 3 * 2400u);
  const auto done = only<wire::ResponseDone>().response;
  EXPECT_EQ(done.status, Status::cancelled);
  EXPECT_EQ(done.reason, "turn_detected");
  speak(800);
  be_quiet(700);
  EXPECT_EQ(prompt(1), "U:Count.|A:One two three|U:<live>|");
  EXPECT_EQ(count<wire::ResponseCreated>(), 2u);
}

TEST_F(Talk, SpeechMayBeKeptFromInterrupting) {
  start(vad([](auto& detection) { detection.interrupt_response = false; }));
  text("Count.");
  send(wire::CreateResponse{});
  be_quiet(600);
  tell_word(0, "One");
  speak(600);
  be_quiet(700);
  EXPECT_FALSE(asked(0).stopped());
  EXPECT_EQ(only<wire::ErrorEvent>().code, "conversation_already_has_active_response");
  EXPECT_EQ(count<wire::InputCommitted>(), 1u);
  tell_word(0, " two");
  tell_end(0);
  EXPECT_EQ(only<wire::ResponseDone>().response.status, Status::completed);
}

TEST_F(Talk, WithoutCreateResponseATurnIsOnlyCommitted) {
  start(vad([](auto& detection) { detection.create_response = false; }));
  be_quiet(600);
  speak(600);
  be_quiet(700);
  EXPECT_EQ(count<wire::InputCommitted>(), 1u);
  EXPECT_TRUE(engine_->asked.empty());
  send(wire::CreateResponse{});
  EXPECT_EQ(prompt(0), "U:<sound>|");
}

TEST_F(Talk, AnAnswerThatWasCompleteBeforeTheTurnEndedCanBeTruncated) {
  start();
  be_quiet(600);
  speak(600);
  be_quiet(300);  // begun early, told later
  ASSERT_EQ(engine_->asked.size(), 1u);
  for (const char* word : {"One", " two", " three"}) tell_word(0, word);
  tell_end(0);
  EXPECT_EQ(count<wire::ResponseCreated>(), 0u);
  be_quiet(500);
  const std::string id = only<wire::ResponseDone>().response.output[0].id;
  send(wire::TruncateItem{id, 0, 150});
  EXPECT_EQ(count<wire::ItemTruncated>(), 1u);
  EXPECT_EQ(count<wire::ErrorEvent>(), 0u);
}

TEST_F(Talk, AFalseInterruptionResumesWhereItWasCut) {
  start();
  text("Count.");
  send(wire::CreateResponse{});
  be_quiet(600);
  for (const char* word : {"One", " two", " three", " four"}) tell_word(0, word);
  speak(160);  // a cough
  const std::string id = all<wire::ResponseDone>().at(0).response.output[0].id;
  send(wire::TruncateItem{id, 0, 250});  // the client stopped in the middle of "three"
  log_.clear();
  be_quiet(800);
  EXPECT_EQ(count<wire::SpeechStopped>(), 1u);
  EXPECT_EQ(count<wire::InputCommitted>(), 0u);
  EXPECT_EQ(count<wire::InputCleared>(), 1u);
  ASSERT_EQ(count<wire::ResponseCreated>(), 1u);
  EXPECT_EQ(transcript(), " three four");
  EXPECT_EQ(sent_samples(), 2 * 2400u);
  // What was not computed is computed again with the same seed; what is known of it is left out.
  const auto& again = engine_->asked.back();
  EXPECT_EQ(again.request.sampling.seed, asked(0).request.sampling.seed);
  const size_t last = engine_->asked.size() - 1;
  for (const char* word : {"One", " two", " three", " four", " five"}) tell_word(last, word);
  tell_end(last);
  EXPECT_EQ(transcript(), " three four five");
  EXPECT_EQ(sent_samples(), 3 * 2400u);
  const auto done = only<wire::ResponseDone>().response;
  EXPECT_EQ(done.status, Status::completed);
  EXPECT_EQ(done.output[0].content[0].text, " three four five");
  // To the model it is one answer, and there was no cough.
  text("Thanks.");
  send(wire::CreateResponse{});
  EXPECT_EQ(prompt(last + 1), "U:Count.|A:One two three four five|U:Thanks.|");
}

TEST_F(Talk, AnAnswerThatGoesOnDoesNotCallItsToolsAgain) {
  wire::Session session;
  session.tools = {{.name = "add"}};
  start(session);
  text("Count.");
  send(wire::CreateResponse{});
  be_quiet(600);
  for (const char* word : {"One", " two", " three"}) tell_word(0, word);
  const assistant::ToolCalled called{{.id = "call_1", .name = "add", .arguments = "{}"}};
  tell(0, called);
  speak(160);
  send(wire::TruncateItem{all<wire::ResponseDone>().at(0).response.output[0].id, 0, 150});
  log_.clear();
  be_quiet(800);
  EXPECT_EQ(transcript(), " two three");
  const size_t last = engine_->asked.size() - 1;
  for (const char* word : {"One", " two", " three"}) tell_word(last, word);
  tell(last, called);
  tell_word(last, " four");
  tell_end(last, assistant::FinishReason::tool_calls);
  EXPECT_EQ(transcript(), " two three four");
  EXPECT_EQ(count<wire::ArgumentsDone>(), 0u);
  EXPECT_EQ(only<wire::ResponseDone>().response.output.size(), 1u);
}

TEST_F(Talk, AnAnswerThatWasOnlyPlayingResumesWithoutTheEngine) {
  start();
  text("Count.");
  send(wire::CreateResponse{});
  be_quiet(600);
  for (const char* word : {"One", " two", " three", " four"}) tell_word(0, word);
  tell_end(0);
  const std::string id = only<wire::ResponseDone>().response.output[0].id;
  speak(160);
  send(wire::TruncateItem{id, 0, 100});
  log_.clear();
  const size_t asked_before = engine_->asked.size();
  be_quiet(800);
  EXPECT_EQ(transcript(), " two three four");
  EXPECT_EQ(sent_samples(), 3 * 2400u);
  EXPECT_EQ(only<wire::ResponseDone>().response.status, Status::completed);
  EXPECT_EQ(engine_->asked.size(), asked_before);
  // And what went on can be interrupted, and truncated, in turn.
  send(wire::TruncateItem{only<wire::ResponseDone>().response.output[0].id, 0, 150});
  text("x");
  send(wire::CreateResponse{});
  EXPECT_EQ(prompt(engine_->asked.size() - 1), "U:Count.|A:One two|U:x|");
}

TEST_F(Talk, ACancelledAnswerDoesNotGoOn) {
  start();
  text("Count.");
  send(wire::CreateResponse{});
  be_quiet(600);
  tell_word(0, "One");
  send(wire::CancelResponse{});
  log_.clear();
  speak(160);
  be_quiet(800);
  EXPECT_EQ(count<wire::InputCommitted>(), 1u);
  EXPECT_EQ(transcript(), "");
}

TEST_F(Talk, ShortSpeechIsJudgedByWhatItSays) {
  for (const bool backchannel : {true, false}) {
    engine_->asked.clear();
    told_.clear();
    start({.transcription = wire::Transcription{}});
    text("Count.");
    send(wire::CreateResponse{});
    be_quiet(600);
    for (const char* word : {"One", " two"}) tell_word(0, word);
    speak(500);
    be_quiet(800);
    EXPECT_EQ(count<wire::ResponseCreated>(), 1u);
    const size_t last = engine_->asked.size() - 1;
    EXPECT_EQ(prompt(last), "U:<sound>Transcribe the audio into text.|");
    tell(last, assistant::TextDelta{backchannel ? "Mm-hm." : "Stop!"});
    tell_end(last);
    EXPECT_EQ(count<wire::InputCommitted>(), backchannel ? 0u : 1u);
    EXPECT_EQ(count<wire::InputCleared>(), backchannel ? 1u : 0u);
    EXPECT_EQ(count<wire::ResponseCreated>(), 2u);
  }
}

TEST_F(Talk, ManualTurns) {
  start(vad([](auto& detection) { detection.kind = Kind::none; }));
  send(wire::CommitInput{}, "nothing");
  EXPECT_EQ(only<wire::ErrorEvent>().code, "input_audio_buffer_commit_empty");
  EXPECT_EQ(only<wire::ErrorEvent>().event_id, "nothing");
  speak(500);
  EXPECT_EQ(count<wire::SpeechStarted>(), 0u);
  send(wire::ClearInput{});
  EXPECT_EQ(count<wire::InputCleared>(), 1u);
  send(wire::CommitInput{});
  EXPECT_EQ(count<wire::ErrorEvent>(), 2u);
  speak(500);
  send(wire::CommitInput{});
  EXPECT_EQ(count<wire::InputCommitted>(), 1u);
  EXPECT_EQ(count<wire::ResponseCreated>(), 0u);
  send(wire::CreateResponse{});
  const auto& sound = std::get<assistant::SoundPart>(asked(0).request.turns[0].parts[0]);
  EXPECT_NEAR(static_cast<double>(sound->samples.size()), 8000, 100);
}

TEST_F(Talk, TheInputBufferHasAnEnd) {
  Settings settings;
  settings.input_samples = 16000;
  start(vad([](auto& detection) { detection.kind = Kind::none; }), settings);
  speak(1200);
  EXPECT_GE(count<wire::ErrorEvent>(), 1u);
  EXPECT_EQ(last<wire::ErrorEvent>().code, "input_audio_buffer_full");
  send(wire::CommitInput{});
  EXPECT_EQ(count<wire::InputCommitted>(), 1u);
}

TEST_F(Talk, TranscriptionByTheModel) {
  start({.transcription = wire::Transcription{.language = "de"}});
  be_quiet(600);
  speak(600);
  be_quiet(700);
  const std::string id = only<wire::InputCommitted>().item_id;
  ASSERT_EQ(engine_->asked.size(), 1u);  // the answer goes first
  tell_word(0, "Hi");
  ASSERT_EQ(engine_->asked.size(), 2u);
  EXPECT_EQ(prompt(1), "U:<sound>Transcribe the German audio into text.|");
  tell(1, assistant::TextDelta{"Hallo."});
  tell_end(1);
  EXPECT_EQ(only<wire::TranscriptionDelta>().delta, "Hallo.");
  EXPECT_EQ(only<wire::TranscriptionCompleted>().transcript, "Hallo.");
  EXPECT_EQ(only<wire::TranscriptionCompleted>().item_id, id);
  send(wire::RetrieveItem{id});
  EXPECT_EQ(only<wire::ItemRetrieved>().item.content[0].text, "Hallo.");
}

TEST_F(Talk, TranscriptionMayFail) {
  wire::Session session{.transcription_only = true};
  session.transcription = wire::Transcription{};
  start(session);
  be_quiet(600);
  speak(600);
  be_quiet(700);
  ASSERT_EQ(engine_->asked.size(), 1u);
  tell(0, assistant::Failed{{ErrorCode::unavailable, "Busy."}});
  EXPECT_EQ(only<wire::TranscriptionFailed>().error.message, "Busy.");
  EXPECT_EQ(count<wire::ResponseCreated>(), 0u);
  send(wire::CreateResponse{});
  EXPECT_EQ(only<wire::ErrorEvent>().code, "response_create_not_allowed");
}

TEST_F(Talk, TheModelSaysWhetherTheTurnIsOver) {
  for (const bool finished : {true, false}) {
    engine_->asked.clear();
    start(vad([](auto& detection) { detection = {.kind = Kind::semantic_vad}; }));
    be_quiet(600);
    speak(600);
    be_quiet(320);
    ASSERT_EQ(engine_->asked.size(), 2u);
    EXPECT_EQ(asked(1).request.choices, (std::vector<std::string>{"Yes", "No"}));
    tell(1, assistant::Scored{{std::log(finished ? 0.8 : 0.1), std::log(finished ? 0.1 : 0.8)}});
    tell_end(1);
    EXPECT_EQ(count<wire::InputCommitted>(), finished ? 1u : 0u);
    // Whatever it says, after four seconds it is.
    be_quiet(3300);
    EXPECT_EQ(count<wire::InputCommitted>(), finished ? 1u : 0u);
    be_quiet(500);
    EXPECT_EQ(count<wire::InputCommitted>(), 1u);
    EXPECT_EQ(count<wire::ResponseCreated>(), 1u);
  }
}

TEST_F(Talk, SilenceAfterAnAnswerIsFilled) {
  start(vad([](auto& detection) { detection.idle_timeout_ms = 5000; }));
  text("Hello?");
  be_quiet(6000);
  EXPECT_EQ(count<wire::IdleTimeout>(), 0u);  // not before anything was said
  send(wire::CreateResponse{});
  for (int i = 0; i < 10; ++i) tell_word(0, " word");
  tell_end(0);
  be_quiet(5900);  // a second of playback first
  EXPECT_EQ(count<wire::IdleTimeout>(), 0u);
  be_quiet(200);
  const auto timeout = only<wire::IdleTimeout>();
  EXPECT_NEAR(static_cast<double>(timeout.audio_end_ms - timeout.audio_start_ms), 5000, 100);
  EXPECT_EQ(only<wire::InputCommitted>().item_id, timeout.item_id);
  EXPECT_EQ(prompt(1), "U:Hello?|A: word word word word word word word word word word|U:<sound>|");
}

TEST_F(Talk, AClientThatStopsSendingHasFinished) {
  start();
  be_quiet(600);
  speak(600);
  wait(4000);
  EXPECT_EQ(count<wire::InputCommitted>(), 0u);
  wait(1100);
  EXPECT_EQ(count<wire::InputCommitted>(), 1u);
  EXPECT_EQ(count<wire::ResponseCreated>(), 1u);
}

TEST_F(Talk, ALongSoundInOneEventIsLikeALiveOne) {
  start();
  std::vector<float> samples = voice_.be_quiet(600);
  for (const auto& more : {voice_.speak(900), voice_.be_quiet(900), voice_.speak(900), voice_.be_quiet(900)}) {
    samples.insert(samples.end(), more.begin(), more.end());
  }
  std::vector<uint8_t> bytes;
  media::to_wire(samples, media::WireFormat::pcm16, bytes);
  send(wire::AppendInput{bytes});
  EXPECT_EQ(count<wire::SpeechStarted>(), 2u);
  EXPECT_EQ(count<wire::InputCommitted>(), 2u);
}

TEST_F(Talk, G711In) {
  start({.input_format = media::WireFormat::alaw});
  const auto hear = [&](const std::vector<float>& samples) {
    std::vector<uint8_t> bytes;
    media::to_wire(media::resample(samples, 24000, 8000), media::WireFormat::alaw, bytes);
    send(wire::AppendInput{bytes});
  };
  hear(voice_.be_quiet(600));
  hear(voice_.speak(900));
  hear(voice_.be_quiet(900));
  EXPECT_EQ(count<wire::InputCommitted>(), 1u);
  EXPECT_NEAR(static_cast<double>(only<wire::SpeechStopped>().audio_end_ms), 1500, 120);
}

TEST(Heard, WordsWhoseSoundHadEnded) {
  const std::string text = "One two three";
  const std::vector<assistant::SpokenMark> marks = {{3, 100}, {7, 200}, {13, 300}};
  EXPECT_EQ(heard(text, marks, 0, 300).text_bytes, 0u);
  EXPECT_EQ(heard(text, marks, 99, 300).text_bytes, 0u);
  EXPECT_EQ(heard(text, marks, 100, 300).text_bytes, 3u);
  EXPECT_EQ(heard(text, marks, 299, 300).text_bytes, 7u);
  EXPECT_EQ(heard(text, marks, 299, 300).samples, 200);
  EXPECT_EQ(heard(text, marks, 300, 300).text_bytes, 13u);
  // Without marks, by length, and only whole words.
  EXPECT_EQ(heard(text, {}, 150, 300).text_bytes, 3u);
  EXPECT_EQ(heard(text, {}, 170, 300).text_bytes, 7u);
  EXPECT_EQ(heard(text, {}, 300, 300).text_bytes, 13u);
  EXPECT_EQ(heard("word", {}, 150, 300).text_bytes, 0u);
}

TEST(VoiceDetector, SpeechNotNoise) {
  FakeVoice voice;
  TurnDetector detector(0);
  const auto hear = [&](const std::vector<float>& samples) {
    bool began = false;
    const auto sound = media::resample(samples, 24000, 16000);
    for (size_t at = 0; at + 320 <= sound.size(); at += 320)
      began |= detector.push(std::span(sound).subspan(at, 320), 0.5);
    return began;
  };
  std::mt19937 random(3);
  std::normal_distribution<float> normal(0, 0.05f);
  std::vector<float> hiss(24000 * 3);
  for (float& sample : hiss) sample = normal(random);
  EXPECT_FALSE(hear(voice.be_quiet(500)));
  EXPECT_FALSE(hear(std::vector<float>(24000, 0.0f)));
  hear(hiss);  // a fan is turned on, which may startle it
  detector.end_turn();
  EXPECT_FALSE(hear(hiss));
  EXPECT_FALSE(hear(voice.be_quiet(500)));
  EXPECT_TRUE(hear(voice.speak(500)));
  EXPECT_GT(detector.voiced_samples(), 16 * 350);
}

}  // namespace
}  // namespace calliope::realtime

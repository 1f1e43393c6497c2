#include "realtime/conversation.h"

#include "realtime/test_talk.h"

namespace calliope::realtime {
namespace {

using Status = wire::ResponseView::Status;

TEST_F(Talk, BeginsWithItsSessionAndConversation) {
  conversation_ =
      std::make_unique<Conversation>(Settings{}, wire::Session{.model = "fake"}, engine_, "u", 99, now_, [] {});
  take();
  EXPECT_EQ(only<wire::SessionCreated>().session.model, "fake");
  EXPECT_EQ(only<wire::SessionCreated>().expires_at_s, 99);
  EXPECT_TRUE(only<wire::ConversationCreated>().id.starts_with("conv_"));
}

TEST_F(Talk, TextInTextOut) {
  start({.speak = false, .instructions = "Be brief."});
  text("Hello?");
  send(wire::CreateResponse{});
  EXPECT_EQ(prompt(0), "S:Be brief.|U:Hello?|");
  EXPECT_FALSE(asked(0).request.speak);
  tell(0, assistant::TextDelta{"Hi "});
  tell(0, assistant::TextDelta{"there."});
  tell_end(0);
  EXPECT_EQ(transcript(), "Hi there.");
  EXPECT_FALSE(all<wire::TextDelta>()[0].spoken);
  const auto done = only<wire::ResponseDone>().response;
  EXPECT_EQ(done.status, Status::completed);
  EXPECT_EQ(done.usage->prompt_tokens, 9);
  ASSERT_EQ(done.output.size(), 1u);
  EXPECT_EQ(done.output[0].content[0].text, "Hi there.");
  // In the order of the protocol.
  std::vector<size_t> kinds;
  for (const auto& event : log_) kinds.push_back(event.index());
  const auto index = []<class T>(T event) { return wire::ServerEvent(std::move(event)).index(); };
  EXPECT_EQ(kinds,
            (std::vector<size_t>{index(wire::ItemAdded{}), index(wire::ItemDone{}), index(wire::ResponseCreated{}),
                                 index(wire::OutputItemAdded{}), index(wire::ItemAdded{}), index(wire::PartAdded{}),
                                 index(wire::TextDelta{}), index(wire::TextDelta{}), index(wire::TextDone{}),
                                 index(wire::PartDone{}), index(wire::OutputItemDone{}), index(wire::ItemDone{}),
                                 index(wire::ResponseDone{})}));
  text("And?");
  send(wire::CreateResponse{});
  EXPECT_EQ(prompt(1), "S:Be brief.|U:Hello?|A:Hi there.|U:And?|");
}

TEST_F(Talk, SpokenAnswersCarryTranscriptAndSound) {
  start();
  text("Hello?");
  send(wire::CreateResponse{});
  EXPECT_TRUE(asked(0).request.speak);
  EXPECT_TRUE(asked(0).request.live);
  EXPECT_TRUE(asked(0).request.sampling.seed);
  tell_word(0, "Hi");
  tell_end(0);
  EXPECT_TRUE(only<wire::TextDelta>().spoken);
  EXPECT_EQ(sent_samples(), 2400u);
  EXPECT_EQ(count<wire::AudioDone>(), 1u);
  EXPECT_EQ(only<wire::TextDone>().text, "Hi");
}

TEST_F(Talk, OneResponseAtATimeButOthersOutOfBand) {
  start();
  text("Hello?");
  send(wire::CreateResponse{});
  send(wire::CreateResponse{}, "second");
  EXPECT_EQ(only<wire::ErrorEvent>().code, "conversation_already_has_active_response");
  EXPECT_EQ(only<wire::ErrorEvent>().event_id, "second");
  wire::ResponseParams params{
      .speak = false, .instructions = "Name it.", .out_of_band = true, .metadata = {{"k", "v"}}};
  send(wire::CreateResponse{params});
  tell(1, assistant::TextDelta{"Greeting"});
  tell_end(1);
  const auto done = only<wire::ResponseDone>().response;
  EXPECT_EQ(done.metadata, (wire::Metadata{{"k", "v"}}));
  EXPECT_EQ(done.conversation_id, "");
  EXPECT_EQ(prompt(1), "S:Name it.|U:Hello?|");
  tell_word(0, "Hi");
  tell_end(0);
  text("x");
  send(wire::CreateResponse{});
  EXPECT_EQ(prompt(2), "U:Hello?|A:Hi|U:x|");  // not a word of what was out of band
}

TEST_F(Talk, ResponsesFromOtherInput) {
  start();
  text("One.");
  const std::string id = last<wire::ItemAdded>().item.id;
  text("Two.");
  wire::ResponseParams params{.out_of_band = true};
  params.input = {{{.kind = wire::Item::Kind::reference, .id = id},
                   {.role = assistant::Role::user, .content = {{.text = "Three."}}}}};
  send(wire::CreateResponse{params});
  EXPECT_EQ(prompt(0), "U:One.|U:Three.|");
  params.input = {{{.kind = wire::Item::Kind::reference, .id = "nowhere"}}};
  send(wire::CreateResponse{params});
  EXPECT_EQ(only<wire::ErrorEvent>().error.field, "response.input[0].id");
}

TEST_F(Talk, ToolsAreCalledAndAnswered) {
  wire::Session session;
  session.tools = {{.name = "add"}};
  session.tool_choice = {.kind = assistant::ToolChoice::Kind::required};
  start(session);
  text("1+1?");
  send(wire::CreateResponse{});
  EXPECT_EQ(asked(0).request.tools[0].name, "add");
  EXPECT_EQ(asked(0).request.tool_choice.kind, assistant::ToolChoice::Kind::required);
  tell_word(0, "Well.");
  tell(0, assistant::ToolCalled{{.id = "call_1", .name = "add", .arguments = R"({"a":1})"}});
  tell_end(0, assistant::FinishReason::tool_calls);
  EXPECT_EQ(only<wire::ArgumentsDone>().call.arguments, R"({"a":1})");
  EXPECT_EQ(only<wire::ArgumentsDone>().place.output_index, 1);
  EXPECT_EQ(only<wire::ResponseDone>().response.output.size(), 2u);
  wire::Item output{.kind = wire::Item::Kind::function_call_output, .output = "2"};
  output.call.id = "nobody";
  send(wire::CreateItem{output, {}});
  EXPECT_EQ(only<wire::ErrorEvent>().error.field, "item.call_id");
  output.call.id = "call_1";
  send(wire::CreateItem{output, {}});
  send(wire::CreateResponse{});
  EXPECT_EQ(prompt(1), R"(U:1+1?|A:Well.add({"a":1})|T:2|)");
}

TEST_F(Talk, WhatWasWrittenBeforeACallIsSaidAfterIt) {
  wire::Session session;
  session.tools = {{.name = "add"}};
  start(session);
  text("1+1?");
  send(wire::CreateResponse{});
  tell_word(0, "Let");
  tell(0, assistant::TextDelta{" me see."});
  tell(0, assistant::ToolCalled{{.id = "call_1", .name = "add", .arguments = "{}"}});
  tell(0, assistant::AudioDelta{std::vector<float>(4800, 0.1f)});
  tell(0, assistant::SpokenMark{6, 4800});
  tell(0, assistant::SpokenMark{11, 7200});
  tell_end(0, assistant::FinishReason::tool_calls);
  for (const auto& delta : all<wire::AudioDelta>()) {
    EXPECT_EQ(delta.place.item_id, all<wire::AudioDelta>()[0].place.item_id);
    EXPECT_EQ(delta.place.output_index, 0);
  }
  const auto response = only<wire::ResponseDone>().response;
  ASSERT_EQ(response.output.size(), 2u);
  EXPECT_EQ(response.output[0].content[0].text, "Let me see.");
  EXPECT_EQ(response.output[1].call.name, "add");
  send(wire::TruncateItem{.item_id = response.output[0].id, .content_index = 0, .audio_end_ms = 210});
  text("Go on.");
  send(wire::CreateResponse{});
  EXPECT_EQ(prompt(1), "U:1+1?|A:Let meadd({})|U:Go on.|");
}

TEST_F(Talk, AllConversationsShareABoundOfMemory) {
  const auto memory = std::make_shared<MemoryBudget>(size_t{4} << 20);
  Settings settings;
  settings.memory = memory;
  wire::Session session;
  session.turn_detection.kind = wire::TurnDetection::Kind::none;
  start(session, settings);
  const size_t empty = memory->used();
  EXPECT_GT(empty, 0u);
  const std::vector<uint8_t> five_seconds(5 * 48000);  // 320 kB as they are held
  for (int i = 0; i < 8; ++i) {
    send(wire::AppendInput{five_seconds});
    send(wire::CommitInput{});
  }
  EXPECT_EQ(count<wire::ErrorEvent>(), 0u);
  EXPECT_EQ(count<wire::InputCommitted>(), 8u);
  EXPECT_NEAR(double(memory->used() - empty), 8 * 320'000, 50'000);
  const auto picture = [](int side) {
    assistant::Image image{side, side, std::vector<uint8_t>(static_cast<size_t>(3 * side * side))};
    wire::Item item{.role = assistant::Role::user};
    item.content = {{.kind = wire::Content::Kind::input_image, .image = std::make_shared<const assistant::Image>(std::move(image))}};
    return item;
  };
  // Another conversation takes most of what is left; then sounds make room for sounds, but not for what will never fit.
  Conversation other(settings, {.model = "fake"}, engine_, "else", 99, now_, [] {});
  other.handle({.body = wire::CreateItem{picture(600), {}}}, now_);
  EXPECT_GT(memory->used(), size_t{3} << 20);
  log_.clear();  // it holds the sounds
  for (int i = 0; i < 8; ++i) {
    send(wire::AppendInput{five_seconds});
    send(wire::CommitInput{});
  }
  EXPECT_EQ(count<wire::ErrorEvent>(), 0u);
  EXPECT_LE(memory->used(), memory->most());
  log_.clear();
  send(wire::CreateItem{picture(1200), {}}, "mine");
  EXPECT_EQ(only<wire::ErrorEvent>().code, "memory_full");
  EXPECT_EQ(only<wire::ErrorEvent>().event_id, "mine");
  EXPECT_EQ(only<wire::ErrorEvent>().error.field, "item");
  EXPECT_EQ(count<wire::ItemAdded>(), 0u);
  EXPECT_GT(memory->used(), size_t{3} << 20) << "nothing was forgotten for what does not fit";
  log_.clear();
  for (int i = 0; i < 11; ++i) send(wire::AppendInput{five_seconds});  // eight fit beside the last item
  EXPECT_EQ(only<wire::ErrorEvent>().code, "memory_full") << "once a second";
  EXPECT_LE(memory->used(), memory->most());
  send(wire::ClearInput{});
  conversation_.reset();
  EXPECT_LT(memory->used(), size_t{2} << 20);
}

wire::Item sound_item(std::string id, int seconds) {
  assistant::Sound sound{.samples = std::vector<float>(static_cast<size_t>(seconds) * 16000, 0.1f)};
  wire::Item item{.id = std::move(id), .role = assistant::Role::user};
  item.content = {
      {.kind = wire::Content::Kind::input_audio, .sound = std::make_shared<const assistant::Sound>(std::move(sound))}};
  return item;
}

TEST_F(Talk, WhatTheEngineHoldsCounts) {
  const auto memory = std::make_shared<MemoryBudget>(size_t{4} << 20);
  Settings settings;
  settings.memory = memory;
  start({}, settings);
  const size_t empty = memory->used();
  const auto held = [&] { return memory->used() - empty; };
  send(wire::CreateItem{sound_item("mine", 10), {}});
  EXPECT_NEAR(double(held()), 640'000, 10'000);
  send(wire::CreateResponse{});
  EXPECT_NEAR(double(held()), 640'000, 10'000) << "the item and the request share a sound";
  send(wire::DeleteItem{"mine"});
  log_.clear();  // it held the sound
  EXPECT_NEAR(double(held()), 640'000, 10'000);
  // What is handed in beside the conversation counts, too.
  wire::ResponseParams params{.out_of_band = true};
  params.input = {sound_item("", 30)};
  send(wire::CreateResponse{params});
  EXPECT_NEAR(double(held()), 4 * 640'000, 20'000);
  send(wire::CreateResponse{params}, "too much");
  EXPECT_EQ(only<wire::ErrorEvent>().code, "memory_full");
  EXPECT_EQ(only<wire::ErrorEvent>().error.field, "response.input");
  EXPECT_EQ(engine_->asked.size(), 2u);
  tell_end(0);
  tell_end(1);
  engine_->asked.pop_back();
  EXPECT_NEAR(double(held()), 640'000, 20'000);
  conversation_.reset();
  EXPECT_EQ(memory->used(), 640'000u) << "the engine still has it";
  engine_->asked.clear();
  EXPECT_EQ(memory->used(), 0u);
}

TEST_F(Talk, OnlyWhatIsFreedByItIsForgotten) {
  const auto memory = start_within(size_t{2} << 20);
  for (const char* id : {"a", "b"}) send(wire::CreateItem{sound_item(id, 10), {}});
  text("What did I say?");
  send(wire::CreateResponse{});
  tell_word(0, "Hello");
  log_.clear();  // it held the sounds
  send(wire::CreateItem{sound_item("c", 20), {}});
  EXPECT_EQ(only<wire::ErrorEvent>().code, "memory_full");
  send(wire::RetrieveItem{"a"});
  EXPECT_TRUE(last<wire::ItemRetrieved>().item.content.at(0).sound) << "forgotten in vain: the engine holds it";
  engine_->asked[0].request = {};  // the prompt is there
  log_.clear();
  send(wire::CreateItem{sound_item("c", 20), {}});
  EXPECT_EQ(count<wire::ErrorEvent>(), 0u);
  send(wire::RetrieveItem{"a"});
  EXPECT_FALSE(last<wire::ItemRetrieved>().item.content.at(0).sound);
  EXPECT_LE(memory->used(), memory->most());
}

TEST_F(Talk, OfOldSoundsTheOldestThatNobodyHoldsIsForgotten) {
  const auto memory = start_within(size_t{2} << 20);
  send(wire::CreateItem{sound_item("a", 10), {}});
  text("What did I say?");
  send(wire::CreateResponse{});
  tell_word(0, "Hello");
  send(wire::CreateItem{sound_item("b", 10), {}});
  text("And now?");
  log_.clear();  // it held the sounds
  send(wire::CreateItem{sound_item("c", 20), {}});
  EXPECT_EQ(count<wire::ErrorEvent>(), 0u);
  send(wire::RetrieveItem{"a"});
  EXPECT_TRUE(last<wire::ItemRetrieved>().item.content.at(0).sound) << "forgotten in vain: the engine holds it";
  send(wire::RetrieveItem{"b"});
  EXPECT_FALSE(last<wire::ItemRetrieved>().item.content.at(0).sound);
  EXPECT_LE(memory->used(), memory->most());
}

TEST_F(Talk, WhatAResponseRefersToIsNotForgottenForWhatItIsGiven) {
  const auto memory = start_within(size_t{2} << 20);
  for (const char* id : {"a", "b"}) send(wire::CreateItem{sound_item(id, 10), {}});
  text("What did I say?");
  log_.clear();  // it held the sounds
  wire::ResponseParams params{.out_of_band = true};
  params.input = {{{.kind = wire::Item::Kind::reference, .id = "nowhere"}, sound_item("", 20)}};
  send(wire::CreateResponse{params});
  EXPECT_EQ(only<wire::ErrorEvent>().error.field, "response.input[0].id");
  send(wire::RetrieveItem{"a"});
  EXPECT_TRUE(last<wire::ItemRetrieved>().item.content.at(0).sound) << "forgotten for what is refused";
  log_.clear();
  params.input->at(0).id = "a";
  send(wire::CreateResponse{params});
  EXPECT_EQ(prompt(0), "U:<sound>|U:<sound>|");
  send(wire::RetrieveItem{"b"});
  EXPECT_FALSE(last<wire::ItemRetrieved>().item.content.at(0).sound);
}

TEST_F(Talk, AnAnswerInterruptedBeforeItsFirstWordHoldsNoMemory) {
  const auto memory = start_within(size_t{2} << 20);
  for (const char* id : {"a", "b"}) send(wire::CreateItem{sound_item(id, 10), {}});
  send(wire::CreateResponse{});
  speak(1000);
  EXPECT_TRUE(asked(0).stopped());
  for (auto& asked : engine_->asked) asked.request = {};
  log_.clear();  // it held the sounds
  MemoryShare others(memory);
  others.set(memory->most() - memory->used());
  speak(1000);
  EXPECT_EQ(count<wire::ErrorEvent>(), 0u);
  be_quiet(600);
  ASSERT_EQ(engine_->asked.size(), 3u);
  EXPECT_EQ(prompt(2), "U:<sound>|U:<sound>|") << "the oldest was forgotten";
}

TEST_F(Talk, WhoSpeaksWhenMemoryIsFullIsHeardLater) {
  const auto memory = start_within(size_t{2} << 20);
  for (const char* id : {"a", "b"}) send(wire::CreateItem{sound_item(id, 10), {}});
  speak(1000);
  ASSERT_TRUE(asked(0).live());
  log_.clear();  // it held the sounds
  MemoryShare others(memory);
  others.set(memory->most() - memory->used());
  speak(60);
  EXPECT_TRUE(asked(0).stopped());
  engine_->asked[0].request = {};
  log_.clear();
  speak(1000);
  EXPECT_EQ(count<wire::ErrorEvent>(), 0u);
  be_quiet(600);
  ASSERT_EQ(engine_->asked.size(), 2u);
  EXPECT_EQ(prompt(1), "U:<sound>|U:<sound>|") << "the oldest was forgotten";
  EXPECT_EQ(count<wire::ResponseCreated>(), 1u);
  EXPECT_LE(memory->used(), memory->most());
}

TEST_F(Talk, ItemsAreInsertedRetrievedAndDeleted) {
  start();
  text("b");
  const std::string b = last<wire::ItemAdded>().item.id;
  wire::Item item{.id = "mine", .role = assistant::Role::user, .content = {{.text = "a"}}};
  send(wire::CreateItem{item, "root"});
  EXPECT_EQ(last<wire::ItemAdded>().previous_item_id, "");
  item.id = "third";
  item.content[0].text = "c";
  send(wire::CreateItem{item, b});
  EXPECT_EQ(last<wire::ItemAdded>().previous_item_id, b);
  send(wire::CreateItem{item, {}});
  EXPECT_EQ(last<wire::ErrorEvent>().error.field, "item.id");
  item.id = "fourth";
  send(wire::CreateItem{item, "nowhere"});
  EXPECT_EQ(last<wire::ErrorEvent>().error.field, "previous_item_id");
  send(wire::RetrieveItem{"mine"});
  EXPECT_EQ(only<wire::ItemRetrieved>().item.content[0].text, "a");
  send(wire::DeleteItem{b});
  EXPECT_EQ(only<wire::ItemDeleted>().item_id, b);
  send(wire::DeleteItem{b});
  EXPECT_EQ(last<wire::ErrorEvent>().code, "item_delete_invalid_item_id");
  send(wire::RetrieveItem{b});
  EXPECT_EQ(last<wire::ErrorEvent>().code, "item_retrieve_invalid_item_id");
  send(wire::CreateResponse{});
  EXPECT_EQ(prompt(0), "U:a|U:c|");
}

TEST_F(Talk, CancelStopsTheEngineAndTheSound) {
  start();
  text("Hello?");
  send(wire::CreateResponse{});
  tell_word(0, "One");
  hold_ = true;  // what the client has not read yet is taken back
  for (const char* word : {" two", " three"}) tell_word(0, word);
  conversation_->poll(now_);
  send(wire::CancelResponse{});
  EXPECT_TRUE(asked(0).stopped());
  hold_ = false;
  take();
  EXPECT_EQ(sent_samples(), 2400u);
  const auto done = only<wire::ResponseDone>().response;
  EXPECT_EQ(done.status, Status::cancelled);
  EXPECT_EQ(done.reason, "client_cancelled");
  EXPECT_EQ(done.output[0].content[0].text, "One");
  EXPECT_EQ(done.output[0].status, wire::ItemStatus::incomplete);
  tell_word(0, " four");  // what the engine still says goes nowhere
  EXPECT_EQ(sent_samples(), 2400u);
  send(wire::CancelResponse{}, "again");
  EXPECT_EQ(only<wire::ErrorEvent>().code, "response_cancel_not_active");
  text("And?");
  send(wire::CreateResponse{});
  EXPECT_EQ(prompt(1), "U:Hello?|A:One|U:And?|");
}

TEST_F(Talk, TruncateKeepsTheWordsThatWereHeard) {
  start();
  text("Count.");
  send(wire::CreateResponse{});
  for (const char* word : {"One", " two", " three", " four"}) tell_word(0, word);
  tell_end(0);
  const std::string id = only<wire::ResponseDone>().response.output[0].id;
  send(wire::TruncateItem{id, 0, 250});
  EXPECT_EQ(only<wire::ItemTruncated>().audio_end_ms, 250);
  send(wire::RetrieveItem{id});
  EXPECT_EQ(last<wire::ItemRetrieved>().item.content[0].text, "One two");
  send(wire::TruncateItem{id, 0, 401}, "too far");
  EXPECT_EQ(last<wire::ErrorEvent>().error.field, "audio_end_ms");
  EXPECT_EQ(last<wire::ErrorEvent>().event_id, "too far");
  send(wire::TruncateItem{id, 1, 100});
  EXPECT_EQ(last<wire::ErrorEvent>().error.field, "content_index");
  send(wire::TruncateItem{"nowhere", 0, 100});
  EXPECT_EQ(last<wire::ErrorEvent>().code, "item_truncate_invalid_item_id");
  text("Go on.");
  send(wire::CreateResponse{});
  EXPECT_EQ(prompt(1), "U:Count.|A:One two|U:Go on.|");
}

TEST_F(Talk, TruncateBeforeTheEndStopsTheAnswer) {
  start();
  text("Count.");
  send(wire::CreateResponse{});
  for (const char* word : {"One", " two", " three"}) tell_word(0, word);
  const std::string id = last<wire::OutputItemAdded>().item.id;
  send(wire::TruncateItem{id, 0, 100});
  EXPECT_TRUE(asked(0).stopped());
  EXPECT_EQ(only<wire::ResponseDone>().response.status, Status::cancelled);
  send(wire::RetrieveItem{id});
  EXPECT_EQ(last<wire::ItemRetrieved>().item.content[0].text, "One");
}

TEST_F(Talk, AFullContextLosesItsOldestItems) {
  start();
  for (int i = 0; i < 8; ++i) text(std::to_string(i));
  send(wire::CreateResponse{});
  tell(0, assistant::Failed{{ErrorCode::too_large, "The prompt is too long."}});
  ASSERT_EQ(engine_->asked.size(), 2u);
  EXPECT_EQ(prompt(1), "U:2|U:3|U:4|U:5|U:6|U:7|");
  tell_word(1, "Fine.");
  tell_end(1);
  EXPECT_EQ(only<wire::ResponseDone>().response.status, Status::completed);
  set([](auto& session) { session.truncation.kind = wire::Truncation::Kind::disabled; });
  send(wire::CreateResponse{});
  tell(2, assistant::Failed{{ErrorCode::too_large, "The prompt is too long."}});
  EXPECT_EQ(last<wire::ResponseDone>().response.status, Status::failed);
  EXPECT_EQ(last<wire::ResponseDone>().response.error->code, ErrorCode::too_large);
}

TEST_F(Talk, ABusyEngineFailsTheResponseOnly) {
  start();
  text("Hello?");
  engine_->refuse = Error{ErrorCode::unavailable, "The queue is full."};
  send(wire::CreateResponse{});
  EXPECT_EQ(only<wire::ResponseDone>().response.status, Status::failed);
  engine_->refuse.reset();
  send(wire::CreateResponse{});
  tell_word(0, "Hi");
  tell_end(0);
  EXPECT_EQ(last<wire::ResponseDone>().response.status, Status::completed);
}

TEST_F(Talk, LengthIsIncomplete) {
  start({.speak = false});
  text("Hello?");
  send(wire::CreateResponse{});
  tell(0, assistant::TextDelta{"Hi"});
  tell_end(0, assistant::FinishReason::length);
  EXPECT_EQ(only<wire::ResponseDone>().response.status, Status::incomplete);
  EXPECT_EQ(only<wire::ResponseDone>().response.reason, "max_output_tokens");
}

TEST_F(Talk, TheSessionEndsAtItsTimeWithAReason) {
  start();
  EXPECT_EQ(conversation_->deadline(), now_ + std::chrono::minutes(60));
  text("Hello?");
  send(wire::CreateResponse{});
  wait(60 * 60 * 1000);
  EXPECT_EQ(only<wire::ErrorEvent>().code, "session_expired");
  EXPECT_EQ(conversation_->over(), "session_expired");
  EXPECT_TRUE(asked(0).stopped());
}

TEST_F(Talk, ASlowReaderIsLetGo) {
  start({}, {.outbox_bytes = 100'000});
  text("Hello?");
  send(wire::CreateResponse{});
  hold_ = true;
  for (int i = 0; i < 40; ++i) tell_word(0, " word");
  conversation_->poll(now_);
  EXPECT_EQ(conversation_->over(), "slow_reader");
  EXPECT_TRUE(asked(0).stopped());
}

TEST_F(Talk, AStoppingServerLetsAnswersEnd) {
  start();
  text("Hello?");
  send(wire::CreateResponse{});
  tell_word(0, "Hi");
  conversation_->drain();
  EXPECT_FALSE(conversation_->over());
  tell_end(0);
  EXPECT_EQ(only<wire::ResponseDone>().response.status, Status::completed);
  EXPECT_EQ(conversation_->over(), "server_stopping");
}

TEST_F(Talk, WhoGoesStopsEverything) {
  start();
  text("Hello?");
  send(wire::CreateResponse{});
  conversation_.reset();
  EXPECT_TRUE(asked(0).stopped());
  asked(0).sink->on_event(assistant::TextDelta{"Hi"});  // and what still comes is harmless
}

TEST_F(Talk, G711Out) {
  start({.output_format = media::WireFormat::mulaw});
  text("Hello?");
  send(wire::CreateResponse{});
  tell(0, assistant::TextDelta{"Hi"});
  for (int i = 0; i < 10; ++i) tell(0, assistant::AudioDelta{std::vector<float>(2400, 0.1f)});
  tell_end(0);
  EXPECT_EQ(sent_samples() * 2, 8000u);  // a second, a byte a sample
  send(wire::TruncateItem{last<wire::OutputItemAdded>().item.id, 0, 1001});
  EXPECT_EQ(only<wire::ErrorEvent>().error.field, "audio_end_ms");
}

}  // namespace
}  // namespace calliope::realtime

#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "assistant/engine.h"
#include "realtime/answer.h"
#include "realtime/inbox.h"
#include "realtime/input_buffer.h"
#include "realtime/settings.h"
#include "realtime/turn_detector.h"

namespace calliope::realtime {

using TimePoint = std::chrono::steady_clock::time_point;

/// One live conversation: takes a client's events and the time, asks the engine, and gives the server's events. It
/// knows no sockets, no JSON and no clock. All calls come from one thread at a time; only `wake` is called from the
/// engine's.
class Conversation {
 public:
  /// `wake`: poll() is due; must not block. `user`: whom the machine is shared fairly with.
  Conversation(Settings settings, wire::Session session, std::shared_ptr<assistant::Engine> engine, std::string user,
               int64_t expires_at_s, TimePoint now, std::function<void()> wake);
  /// Stops everything that still runs.
  ~Conversation();
  Conversation(const Conversation&) = delete;

  void handle(wire::ClientEvent event, TimePoint now);
  /// An event that could not be read.
  void complain(Error error, std::string event_id, std::string code);
  /// Takes what the engine has said, and does what is due.
  void poll(TimePoint now);
  /// When poll() is due even if nothing happens.
  std::optional<TimePoint> deadline() const;
  /// The next event for the client. What is taken counts as sent.
  std::optional<wire::ServerEvent> next(TimePoint now);

  const wire::Session& session() const { return session_; }
  const std::string& id() const { return session_id_; }
  /// Why the conversation is over, once it is; what next() still gives is worth sending.
  const std::optional<std::string>& over() const { return over_; }
  /// The server stops: no new answers, and it is over when those that run are told.
  void drain();
  /// Requests that the engine works on.
  size_t runs() const { return runs_.size(); }

 private:
  /// What a person says, from its first sound until it is answered.
  struct Turn {
    std::string item_id;
    int64_t begin = 0;  ///< with its prefix
    int64_t end = 0;    ///< where what the model hears ends, once it paused
    bool paused = false;
    std::shared_ptr<Counted<assistant::LiveSound>> live = {};
    int64_t fed = 0;                      ///< until where `live` has it
    std::shared_ptr<Answer> answer = {};  ///< begun early, not told yet
    bool interrupted = false;             ///< it made an answer stop
    bool finished = false;                ///< the model takes it to be over
    assistant::SoundPart sound = {};      ///< all of it, when it is over
    uint64_t question = 0;                ///< the run that says whether it is over
    TimePoint heard_at = {};              ///< when sound came last
  };
  struct Run {
    std::stop_source stop = {};
    std::weak_ptr<Answer> answer = {};
    enum class Kind { answer, transcription, finished_question } kind = Kind::answer;
    std::string item_id = {};  ///< whose transcription
    std::string text = {};
    double seconds = 0;
    size_t bytes = 0;  ///< of the text that was handed in
  };

  // conversation_events.cc: what clients ask for
  void on(wire::UpdateSession event);
  void on(wire::AppendInput event);
  void on(const wire::CommitInput&);
  void on(const wire::ClearInput&);
  void on(const wire::ClearOutput&);
  void on(wire::CreateItem event);
  void on(const wire::DeleteItem& event);
  void on(const wire::RetrieveItem& event);
  void on(const wire::TruncateItem& event);
  void on(wire::CreateResponse event);
  void on(const wire::CancelResponse& event);
  void count_media(wire::Item& item) const;
  void error(ErrorCode code, std::string message, std::string field = {}, std::string openai_code = {});

  // conversation_turns.cc: when it is whose turn
  void detect();
  void open_turn();
  void hear_live();
  void feed(Turn& turn);
  void pause_turn();
  void go_on();
  void close_turn();
  enum class Outcome { answer, commit, false_alarm };
  void conclude(Turn turn, Outcome outcome);
  void drop_answer(Turn& turn);
  void abandon_turn();
  bool can_resume() const;
  void resume();
  void idle();
  bool turn_is_over() const;
  void commit(const std::string& item_id, assistant::SoundPart sound);
  void trim_input();
  bool answers_by_itself() const;
  std::shared_ptr<Answer> hear(assistant::Part sound);
  assistant::SoundPart recorded(int64_t begin, int64_t end, size_t shortest = 0) const;

  // conversation.cc: asking the engine
  AnswerPlan plan(const wire::ResponseParams& params) const;
  void ask(const std::shared_ptr<Answer>& answer);
  uint64_t submit(assistant::Request request, Run run);
  void begin_answer(const std::shared_ptr<Answer>& answer);
  void remember_spoken(const std::shared_ptr<Answer>& answer);
  void on_run_event(uint64_t id, assistant::Event event);
  void on_transcription_event(Run& run, assistant::Event& event);
  void on_question_event(uint64_t id, assistant::Event& event);
  void stop_runs(const Answer& answer);
  void transcribe(const std::string& item_id);
  void ask_whether_finished();
  void interrupt(std::string_view reason);
  bool ask_shorter(const std::shared_ptr<Answer>& answer);
  void settle();
  size_t bytes() const;
  bool make_room(size_t bytes);
  void refuse_for_memory(std::string_view what, std::string field);
  void end(std::string reason);
  Answer* active() const { return answer_ && answer_->begun() && !answer_->ended() ? answer_.get() : nullptr; }

  const Settings settings_;
  wire::Session session_;
  const std::shared_ptr<assistant::Engine> engine_;
  const std::string user_;
  const std::string session_id_;
  const int64_t expires_at_s_;
  const TimePoint ends_at_;
  TimePoint now_;
  std::string event_id_;  ///< of the event being handled
  std::optional<std::string> over_;
  bool draining_ = false;

  MemoryShare memory_;
  TimePoint complained_;  ///< last about memory, for sound

  Shared shared_;
  std::shared_ptr<Inbox> inbox_;
  std::map<uint64_t, Run> runs_;
  uint64_t next_run_ = 1;

  std::shared_ptr<Answer> answer_;                                      ///< of the conversation: the newest
  std::vector<std::shared_ptr<Answer>> others_;                         ///< out of band
  std::map<std::string, std::shared_ptr<Answer>, std::less<>> spoken_;  ///< by the item that can be truncated
  std::optional<Heard> cut_;                                            ///< where the client stopped playing answer_
  TimePoint playback_end_;  ///< when what was sent has been played, if it is played at once
  std::optional<TimePoint> idle_at_;
  bool waits_for_person_ = false;  ///< an answer has begun since the person last spoke

  InputBuffer input_;
  std::unique_ptr<TurnDetector> detector_;
  std::optional<Turn> turn_;
  struct Verdict {
    Turn turn;
    TimePoint until;
    uint64_t run = 0;
  };
  std::optional<Verdict> verdict_;          ///< whether a turn meant to interrupt
  std::vector<std::string> untranscribed_;  ///< items that wait until the answer is under way
};

}  // namespace calliope::realtime

#include <atomic>
#include <memory>
#include <utility>

#include "eval/answerer.h"
#include "eval/table.h"

namespace calliope::eval {
namespace {

std::span<const uint8_t> bytes_of(const std::string& text) { return {reinterpret_cast<const uint8_t*>(text.data()), text.size()}; }

class OutcomeSink final : public assistant::Sink {
 public:
  explicit OutcomeSink(Answerer::Done done) : done_(std::move(done)) {}
  void on_event(assistant::Event event) override {
    if (auto* text = std::get_if<assistant::TextDelta>(&event)) outcome_.text += text->text;
    else if (auto* scored = std::get_if<assistant::Scored>(&event)) outcome_.log_probabilities = std::move(scored->log_probabilities);
    else if (auto* failed = std::get_if<assistant::Failed>(&event)) done_(std::unexpected(std::move(failed->error)));
    else if (const auto* end = std::get_if<assistant::Finished>(&event)) {
      if (end->reason == assistant::FinishReason::cancelled) done_(fail(ErrorCode::cancelled, "cancelled"));
      else done_(std::move(outcome_));
    }
  }

 private:
  Answerer::Done done_;
  Outcome outcome_;
};

class EngineAnswerer final : public Answerer {
 public:
  EngineAnswerer(assistant::Engine& engine, api::MediaDecoder& decoder) : engine_(engine), decoder_(decoder) {}

  void ask(const Task& task, const Item& item, Done done) override {
    auto request = request_of(task, item);
    if (!request) return done(std::unexpected(std::move(request).error()));
    auto sink = std::make_shared<OutcomeSink>(done);
    if (auto submitted = engine_.submit(*std::move(request), std::move(sink), {}); !submitted) done(std::unexpected(std::move(submitted).error()));
  }

 private:
  Result<assistant::Part> part_of(const Part& part) {
    if (part.kind == Part::Kind::text) return part.text;
    std::string bytes = part.bytes;
    if (!part.path.empty()) {
      TRY(bytes, slurp(part.path));
    }
    const auto at = [&](Error error) {
      if (!part.path.empty()) error.message = part.path + ": " + error.message;
      return std::unexpected(std::move(error));
    };
    if (part.kind == Part::Kind::image) {
      auto image = decoder_.image(bytes_of(bytes));
      if (!image) return at(image.error());
      return std::make_shared<const assistant::Image>(*std::move(image));
    }
    auto sound = decoder_.sound(bytes_of(bytes), "");
    if (!sound) return at(sound.error());
    return std::make_shared<const assistant::Sound>(*std::move(sound));
  }

  Result<assistant::Request> request_of(const Task& task, const Item& item) {
    assistant::Request request{.id = item.id};
    for (const Turn& turn : item.turns) {
      assistant::Turn& to = request.turns.emplace_back();
      to.role = turn.role;
      for (const Part& part : turn.parts) {
        TRY(assistant::Part made, part_of(part));
        to.parts.push_back(std::move(made));
      }
    }
    request.max_tokens = task.max_tokens;
    request.sampling = {.temperature = task.temperature, .seed = 1};
    request.stop = task.stop;
    if (task.by_likelihood) request.choices = item.choices;
    return request;
  }

  assistant::Engine& engine_;
  api::MediaDecoder& decoder_;
};

}  // namespace

std::unique_ptr<Answerer> engine_answerer(assistant::Engine& engine, api::MediaDecoder& decoder) {
  return std::make_unique<EngineAnswerer>(engine, decoder);
}

}  // namespace calliope::eval

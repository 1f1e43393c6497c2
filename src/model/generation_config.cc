#include "model/generation_config.h"

#include <algorithm>
#include <boost/json.hpp>
#include <string>

#include "model/config_reader.h"

namespace calliope::model {
namespace {

void read_draw(ConfigReader& reader, const std::string& prefix, DrawDefaults& draw) {
  int64_t top_k = draw.top_k;
  reader.boolean(prefix + "do_sample", draw.do_sample);
  reader.number(prefix + "temperature", draw.temperature, 0.0, 100.0);
  reader.integer(prefix + "top_k", top_k, 0, 1 << 24);
  reader.number(prefix + "top_p", draw.top_p, 0.0, 1.0);
  reader.number(prefix + "repetition_penalty", draw.repetition_penalty, 0.01, 100.0);
  draw.top_k = static_cast<int>(top_k);
}

// [[layer, head], ...]
void read_heads(ConfigReader& reader, const boost::json::object& object, std::vector<AttentionHead>& heads) {
  constexpr const char* kName = "talker_alignment_heads";
  constexpr size_t kMost = 64;
  constexpr int64_t kLargest = 1 << 12;
  const auto* found = object.if_contains(kName);
  if (!found || found->is_null()) return;
  const auto number = [](const boost::json::value& value) { return value.is_int64() && value.get_int64() >= 0 && value.get_int64() < kLargest; };
  const auto pair = [&](const boost::json::value& value) {
    return value.is_array() && value.get_array().size() == 2 && number(value.get_array()[0]) && number(value.get_array()[1]);
  };
  if (!found->is_array() || found->get_array().size() > kMost || !std::ranges::all_of(found->get_array(), pair)) {
    return reader.wrong(kName, "must be a list of at most 64 pairs [layer, head]");
  }
  for (const auto& value : found->get_array()) heads.push_back({value.get_array()[0].get_int64(), value.get_array()[1].get_int64()});
}

}  // namespace

Result<GenerationConfig> parse_generation_config(std::string_view json) {
  boost::system::error_code error;
  const boost::json::value value = boost::json::parse(json, error);
  if (error || !value.is_object()) return fail(ErrorCode::invalid_argument, "generation_config.json is not a JSON object");
  std::string mistake, field;
  ConfigReader reader(&value.get_object(), "", mistake, field);
  GenerationConfig config;
  read_draw(reader, "", config.thinker);
  read_draw(reader, "thinker_", config.thinker);
  read_draw(reader, "talker_", config.talker);
  config.code_predictor.do_sample = config.talker.do_sample;
  read_draw(reader, "code_predictor_", config.code_predictor);
  int64_t most = config.talker_max_new_tokens;
  reader.integer("talker_max_new_tokens", most, 1, 1 << 20);
  config.talker_max_new_tokens = static_cast<int>(most);
  reader.boolean("talker_reads_words", config.talker_reads_words);
  reader.boolean("talker_reads_sounds", config.talker_reads_sounds);
  int64_t lead = config.talker_lead_frames;
  reader.integer("talker_lead_frames", lead, 0, 64);
  config.talker_lead_frames = static_cast<int>(lead);
  int64_t characters = config.talker_passage_characters, sentences = config.talker_passage_sentences;
  reader.integer("talker_passage_characters", characters, 16, 1 << 14);
  config.talker_passage_characters = static_cast<int>(characters);
  reader.integer("talker_passage_sentences", sentences, 0, 1 << 14);
  config.talker_passage_sentences = static_cast<int>(sentences);
  int64_t seconds = config.transcription_seconds;
  reader.text("transcription_prompt", config.transcription_prompt);
  reader.integer("transcription_seconds", seconds, 1, 600);
  config.transcription_seconds = static_cast<int>(seconds);
  read_heads(reader, value.get_object(), config.talker_alignment_heads);
  std::vector<int64_t> ids;
  const auto* eos = value.get_object().if_contains("eos_token_id");
  if (eos && eos->is_array()) reader.integers("eos_token_id", ids, 0, 1 << 24, 64);
  else if (eos && !eos->is_null()) reader.integer("eos_token_id", ids.emplace_back(), 0, 1 << 24);
  for (const int64_t id : ids) config.eos_token_ids.push_back(static_cast<int32_t>(id));
  if (!mistake.empty()) return fail(ErrorCode::invalid_argument, "generation_" + mistake, field);
  return config;
}

}  // namespace calliope::model

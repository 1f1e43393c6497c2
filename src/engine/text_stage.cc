#include "engine/text_stage.h"

#include <algorithm>
#include <utility>

#include "base/check.h"

namespace calliope::engine {

tensor::Rows TextStage::logits(std::span<TextSequence* const> sequences) {
  const model::DecoderConfig& config = model_.thinker.config();
  const auto count = static_cast<int64_t>(sequences.size());
  hidden_.resize({count, config.hidden_size});
  logits_.resize({count, config.vocab_size});
  for (int64_t b = 0; b < count; ++b) {
    std::ranges::copy(sequences[static_cast<size_t>(b)]->hidden, hidden_.rows().row(b));
  }
  model_.thinker.logits(hidden_.rows(), logits_.rows());
  return logits_.rows();
}

bool TextStage::begin_piece(TextSequence& sequence, std::span<const PromptPiece> beside) const {
  if (!sequence.looked_up) look_up(sequence);
  for (const PromptPiece& piece : beside) {
    const TextSequence& other = *piece.sequence;
    if (!sequence.prompt.deepstack.empty() && !other.prompt.deepstack.empty()) return false;
    const auto page = static_cast<size_t>(sequence.state.layout().tokens);
    const bool alike = sequence.marks.size() > page && other.marks.size() > page &&
                       std::ranges::equal(std::span(sequence.marks).first(page), std::span(other.marks).first(page));
    if (!cache_ || sequence.prefilled > 0 || !alike) continue;
    sequence.looked_up = false;  // by then there is more to find
    return false;
  }
  return true;
}

// The prompts' rows come first in the batch.
void TextStage::run(std::span<TextSequence* const> decoding, std::span<const PromptPiece> pieces) {
  const int64_t width = model_.thinker.config().hidden_size;
  positions_.clear();
  sequences_.clear();
  visual_rows_.clear();
  deepstack_.clear();
  media_ = false;
  int64_t prompt_rows = 0;
  for (const PromptPiece& piece : pieces) prompt_rows += piece.rows;
  const int64_t rows = prompt_rows + static_cast<int64_t>(decoding.size());
  if (rows == 0) return;
  x_.resize({rows, width});
  int64_t row = 0;
  for (const PromptPiece& piece : pieces) row += add_prompt_rows(piece, row);
  add_tokens(decoding, prompt_rows);

  model_.thinker.forward(
      {.embeds = x_.rows(), .positions = &positions_, .visual_rows = visual_rows_, .deepstack = deepstack_}, sequences_, scratch_,
      {.accept_hidden = media_ && model_.talker ? &accept_ : nullptr});

  row = 0;
  for (const PromptPiece& piece : pieces) row += take_prompt_rows(piece, row);
  for (TextSequence* sequence : decoding) {
    sequence->token.reset();
    std::copy_n(x_.rows().row(row++), width, sequence->hidden.begin());
    keep_pages(*sequence);
  }
}

int64_t TextStage::add_prompt_rows(const PromptPiece& piece, int64_t row) {
  const Prompt& prompt = piece.sequence->prompt;
  const int64_t begin = piece.sequence->prefilled, end = begin + piece.rows;
  std::copy_n(prompt.embeds.rows().row(begin), piece.rows * x_.shape()[1], x_.rows().row(row));
  for (int axis = 0; axis < 3; ++axis) {
    const auto from = prompt.positions.axis[axis].begin() + begin;
    positions_.axis[axis].insert(positions_.axis[axis].end(), from, from + piece.rows);
  }
  if (!prompt.deepstack.empty()) {
    CHECK(deepstack_.empty());
    const auto first = std::ranges::lower_bound(prompt.visual_rows, begin), last = std::ranges::lower_bound(prompt.visual_rows, end);
    for (auto visual = first; visual != last; ++visual) visual_rows_.push_back(row + *visual - begin);
    for (const auto& level : prompt.deepstack) {
      deepstack_.push_back(level.rows().slice(first - prompt.visual_rows.begin(), last - first));
    }
  }
  for (int64_t at = begin; at < end; ++at) media_ = media_ || prompt.is_media(at, model_.config.thinker);
  // Only a prompt's last row goes on to the head. What is read or changed after the last layer needs all of them.
  const model::Config& config = model_.config;
  const int64_t layers = config.thinker.text.num_hidden_layers;
  const bool all_rows = static_cast<int64_t>(config.thinker.vision.deepstack_visual_indexes.size()) >= layers ||
                        (model_.talker && config.talker.accept_hidden_layer >= layers);
  sequences_.push_back({&piece.sequence->state, piece.rows, all_rows ? model::SequenceRows::kAll : end == prompt.size()});
  return piece.rows;
}

void TextStage::add_tokens(std::span<TextSequence* const> decoding, int64_t first_row) {
  ids_.clear();
  for (TextSequence* sequence : decoding) {
    ids_.push_back(*sequence->token);
    positions_.push(sequence->next_position++);
    sequences_.push_back({&sequence->state, 1});
    if (!sequence->marks.empty()) sequence->marks.push_back(TokenMark::token(ids_.back()));
  }
  model_.thinker.embed(ids_, x_.rows().slice(first_row, static_cast<int64_t>(ids_.size())));
}

int64_t TextStage::take_prompt_rows(const PromptPiece& piece, int64_t first) {
  TextSequence& sequence = *piece.sequence;
  const int64_t width = x_.shape()[1];
  for (int64_t row = 0; media_ && model_.talker && row < piece.rows; ++row) {
    if (!sequence.prompt.is_media(sequence.prefilled + row, model_.config.thinker)) continue;
    const float* hidden = accept_.rows().row(first + row);
    sequence.media_hidden.insert(sequence.media_hidden.end(), hidden, hidden + width);
  }
  sequence.prefilled += piece.rows;
  const float* last = x_.rows().row(first + piece.rows - 1);
  if (!sequence.prefilling()) sequence.hidden.assign(last, last + width);
  keep_pages(sequence);
  return piece.rows;
}

// Rows of a prompt whose hidden states the talker takes.
int64_t TextStage::media_rows(const Prompt& prompt, int64_t begin, int64_t end) const {
  int64_t count = 0;
  for (int64_t row = begin; model_.talker && row < end; ++row)
    count += prompt.is_media(row, model_.config.thinker) ? 1 : 0;
  return count;
}

void TextStage::replace_prompt(TextSequence& sequence, Prompt prompt) const {
  const auto run = std::span(sequence.marks).first(static_cast<size_t>(sequence.prefilled));
  int64_t same = std::ranges::mismatch(run, prompt.marks).in1 - run.begin();
  if (prompt.whole) same = std::min(same, prompt.size() - 1);
  if (same < sequence.prefilled) {
    sequence.state.truncate(same);
    sequence.prefilled = same;
    sequence.found = std::min(sequence.found, same);
    sequence.media_hidden.resize(
        static_cast<size_t>(media_rows(sequence.prompt, 0, same) * model_.thinker.config().hidden_size));
    const auto pages = std::min(static_cast<int64_t>(sequence.kept.size()), same / sequence.state.layout().tokens);
    sequence.kept.resize(static_cast<size_t>(pages));
    sequence.media_kept = media_rows(sequence.prompt, 0, pages * sequence.state.layout().tokens);
  }
  sequence.prompt = std::move(prompt);
  sequence.marks = sequence.prompt.marks;
  sequence.looked_up = false;
}

// The last row of a prompt is always run: the first token is drawn from it.
void TextStage::look_up(TextSequence& sequence) const {
  sequence.looked_up = true;
  if (!cache_ || sequence.marks.empty()) return;
  PrefixCache::Found found =
      cache_->find(std::span(sequence.marks).first(static_cast<size_t>(sequence.prompt.size() - 1)));
  if (static_cast<int64_t>(found.pages.size()) * sequence.state.layout().tokens <= sequence.prefilled) return;
  sequence.state.reset();
  sequence.state.begin_with(found.pages);
  sequence.prefilled = sequence.found = sequence.state.length();
  sequence.media_kept = static_cast<int64_t>(found.media_hidden.size()) / model_.thinker.config().hidden_size;
  sequence.media_hidden = std::move(found.media_hidden);
  sequence.kept = std::move(found.names);
}

// Pages that have become full.
void TextStage::keep_pages(TextSequence& sequence) const {
  if (!cache_ || sequence.marks.empty()) return;
  const int64_t tokens = sequence.state.layout().tokens, width = model_.thinker.config().hidden_size;
  for (auto page = static_cast<int64_t>(sequence.kept.size()); (page + 1) * tokens <= sequence.state.length(); ++page) {
    const int64_t begin = page * tokens;
    const int64_t media = media_rows(sequence.prompt, begin, std::min(begin + tokens, sequence.prompt.size()));
    const auto hidden = sequence.media_hidden.begin() + sequence.media_kept * width;
    const uint64_t before = sequence.kept.empty() ? PrefixCache::kStart : sequence.kept.back();
    sequence.kept.push_back(
        cache_->keep(before, std::span(sequence.marks).subspan(static_cast<size_t>(begin), static_cast<size_t>(tokens)),
                     sequence.state.pages()[static_cast<size_t>(page)], {hidden, hidden + media * width}));
    sequence.media_kept += media;
  }
}

}  // namespace calliope::engine

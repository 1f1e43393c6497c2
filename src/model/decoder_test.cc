#include "model/decoder.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <memory>
#include <vector>

#include "model/model.h"

namespace calliope::model {
namespace {

class DecoderOutputs : public testing::Test {
 protected:
  static void SetUpTestSuite() { model_ = load_model(CALLIOPE_SOURCE_DIR "/models/calliope-nano").value(); }
  static void TearDownTestSuite() { model_.reset(); }

  // Two sequences of 70 and 9 tokens in one pass, then a token more of each; gives both passes' rows.
  static std::vector<tensor::Tensor> run(int64_t first_outputs, int64_t second_outputs) {
    const Thinker& thinker = model_->thinker;
    DecoderState states[2];
    DecoderScratch scratch;
    std::vector<tensor::Tensor> results;
    for (const int64_t rows : {79, 2}) {
      std::vector<int32_t> ids;
      Positions positions;
      for (int64_t i = 0; i < rows; ++i) {
        ids.push_back(static_cast<int32_t>(i * 37 % 256 + rows));
        positions.push(rows == 79 ? (i < 70 ? i : i - 70) : (i == 0 ? 70 : 9));
      }
      results.emplace_back(tensor::Shape{rows, thinker.config().hidden_size});
      const tensor::Rows x = results.back().rows();
      thinker.embed(ids, x);
      const SequenceRows prompts[] = {{&states[0], 70, first_outputs}, {&states[1], 9, second_outputs}};
      const SequenceRows tokens[] = {{&states[0], 1}, {&states[1], 1}};
      thinker.forward({.embeds = x, .positions = &positions}, rows == 79 ? prompts : tokens, scratch);
    }
    return results;
  }

  static void expect_same_rows(const tensor::Tensor& a, const tensor::Tensor& b, int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
      EXPECT_EQ(std::memcmp(a.rows().row(row), b.rows().row(row), static_cast<size_t>(a.shape()[1]) * sizeof(float)), 0) << row;
    }
  }

  static std::shared_ptr<const Model> model_;
};

std::shared_ptr<const Model> DecoderOutputs::model_;

TEST_F(DecoderOutputs, RowsWhoseOutputIsWantedAreTheSameBitForBit) {
  const auto all = run(SequenceRows::kAll, SequenceRows::kAll);
  struct Case {
    int64_t first, second;
  };
  for (const Case& c : {Case{1, 1}, {0, 2}, {3, 0}, {0, 0}, {70, 4}, {100, SequenceRows::kAll}}) {
    const auto some = run(c.first, c.second);
    const int64_t first = std::min<int64_t>(c.first, 70), second = c.second < 0 ? 9 : c.second;
    expect_same_rows(all[0], some[0], 70 - first, 70);
    expect_same_rows(all[0], some[0], 79 - second, 79);
    expect_same_rows(all[1], some[1], 0, 2);  // keys and values are all there
  }
}

}  // namespace
}  // namespace calliope::model

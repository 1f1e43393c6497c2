#pragma once

#include <cstdint>
#include <span>

#include "base/result.h"
#include "model/config.h"
#include "model/decoder.h"
#include "model/image_processor.h"

namespace calliope::model {

/// The positions of a prompt on three axes (get_rope_index): text counts up on all three; an audio token counts like
/// text; a picture's tokens share their time and take row and column as height and width; what follows a picture goes on
/// one after its largest position. `ids` holds placeholders already expanded, one per media token; `grids` has one entry
/// per picture in order. invalid_argument when the pictures in `ids` and `grids` disagree.
Result<Positions> rope_positions(std::span<const int32_t> ids, std::span<const ImageGrid> grids, const ThinkerConfig& config);

/// The position after the last: largest + 1, where the next token goes on all axes.
int64_t next_position(const Positions& positions);

}  // namespace calliope::model

// Checks conversation.item.truncate against what was spoken.
#pragma once

#include "bench/live_client.h"

namespace calliope::bench {

/// Has sentences spoken, cuts each at a random place and compares the words that are kept with those whose sound had ended.
/// Where words end is estimated from their letters and the loud part of the sound; prints how far the kept words are from it.
asio::awaitable<void> check_cuts(asio::io_context& io, Server server, int cuts);

}  // namespace calliope::bench

// What it costs that somebody is there and says nothing, and how soon the place of one who vanished is free.
#pragma once

#include "bench/live_client.h"

namespace calliope::bench {

/// Clients that vanish `times` in all, by turns while they speak and while they are answered, alone on the server: how
/// long until /metrics shows their place free.
asio::awaitable<void> vanish(asio::io_context& io, Server server, const std::vector<Clip>& clips, int times);

/// Opens many sessions that say nothing, and prints what they take in memory and, for so many seconds, of a core.
asio::awaitable<void> idle(asio::io_context& io, Server server, int sessions, int seconds);

}  // namespace calliope::bench

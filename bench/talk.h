// Some people who talk to a server at once, and the lines that say what they met.
#pragma once

#include "bench/person.h"

namespace calliope::bench {

/// The smallest value that so large a share of them does not exceed; NaN of none.
double percentile(std::vector<double> values, double share);

struct Run {
  int people = 0;
  double seconds = 0;
  Tally tally = {};
  double server_cores = 0, driver_cores = 0;  ///< processor time by wall clock
  double rss_mb = 0;                          ///< of the server, afterwards
  std::string busiest;                        ///< the engine's stage that took the most time
  double busiest_share = 0;                   ///< of wall clock
};

/// So many people talk for so long, or until they have had enough (Manners).
asio::awaitable<Run> talk(asio::io_context& io, Server server, Manners manners, int people, int seconds);

void print(const Run& run);
std::vector<double> answer_waits(const Run& run);

/// Everybody was answered, nobody heard a gap.
bool carried(const Run& run);

/// Doubles the number of people from `least` until it is too much, then narrows it down to an eighth.
asio::awaitable<void> search(asio::io_context& io, Server server, Manners manners, int least, int most, int seconds);

}  // namespace calliope::bench

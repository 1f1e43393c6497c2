#include <cstdio>
#include <cstring>
#include <exception>

#include "cli/command_line.h"
#include "media/worker.h"

int main(int argc, char** argv) {
  if (argc > 1 && std::strcmp(argv[1], "--media-worker") == 0) return calliope::media::media_worker_main();
  try {
    return calliope::cli::run_command_line(argc, argv);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "calliope: %s\n", error.what());
    return 1;
  }
}

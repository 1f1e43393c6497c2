#include "cli/human_bytes.h"

#include <cstdio>

namespace calliope::cli {

std::string human_bytes(double bytes) {
  char text[32];
  const char* unit = "B";
  for (const char* next : {"kB", "MB", "GB"}) {
    if (bytes < 1000) break;
    bytes /= 1000;
    unit = next;
  }
  std::snprintf(text, sizeof text, bytes < 10 && unit[0] != 'B' ? "%.1f %s" : "%.0f %s", bytes, unit);
  return text;
}

}  // namespace calliope::cli

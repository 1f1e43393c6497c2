#include "server/prometheus_text.h"

#include <gtest/gtest.h>

#include <array>
#include <cmath>

namespace calliope::server {
namespace {

TEST(PrometheusText, IsTheFormatPrometheusReads) {
  PrometheusText out;
  out.family("a_total", "counter", "Two\nlines, one \\ and \"quotes\".");
  out.sample(3, {{"code", "say \"hi\"\n\\"}, {"b", "c"}});
  out.sample(0.25);
  out.single("b", "gauge", "Odd numbers.", std::nan(""));
  out.sample(-INFINITY);
  out.sample(1e16);
  out.sample(123456789012345);
  out.family("c_seconds", "histogram", "Waits.");
  const std::array bounds = {0.1, 1.0, 10.0};
  const std::array<uint64_t, 4> counts = {2, 0, 1, 4};
  out.histogram(bounds, counts, 45.5, {{"stage", "decode"}});
  EXPECT_EQ(out.take(), R"text(# HELP a_total Two\nlines, one \\ and "quotes".
# TYPE a_total counter
a_total{code="say \"hi\"\n\\",b="c"} 3
a_total 0.25
# HELP b Odd numbers.
# TYPE b gauge
b NaN
b -Inf
b 1e+16
b 123456789012345
# HELP c_seconds Waits.
# TYPE c_seconds histogram
c_seconds_bucket{stage="decode",le="0.1"} 2
c_seconds_bucket{stage="decode",le="1"} 2
c_seconds_bucket{stage="decode",le="10"} 3
c_seconds_bucket{stage="decode",le="+Inf"} 7
c_seconds_sum{stage="decode"} 45.5
c_seconds_count{stage="decode"} 7
)text");
}

}  // namespace
}  // namespace calliope::server

#include "kernels/isa.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>

namespace calliope::kernels {
namespace {

TEST(Isa, TheAvailableOnesCanBeForcedAndOthersGiveTheBest) {
  const auto available = available_isas();
  EXPECT_EQ(available.front(), Isa::plain);
  EXPECT_EQ(available.back(), best_isa());
  EXPECT_TRUE(std::ranges::is_sorted(available));
  for (const Isa isa : {Isa::plain, Isa::avx2, Isa::avx512, Isa::avx512bf16, Isa::neon, Isa::neondot}) {
    set_isa(isa);
    EXPECT_EQ(active_isa(), std::ranges::find(available, isa) == available.end() ? best_isa() : isa);
    EXPECT_FALSE(name_of(isa).empty());
  }
  set_isa(best_isa());
}

TEST(Isa, AWrongRequestSaysWhatThereIs) {
  const char* before = std::getenv("CALLIOPE_ISA");
  const std::string restored = before ? before : "";
  setenv("CALLIOPE_ISA", "sse9", 1);
  auto checked = check_isa_request();
  ASSERT_FALSE(checked);
  EXPECT_NE(checked.error().message.find("CALLIOPE_ISA=sse9 names no instruction set; here it may be plain"), std::string::npos)
      << checked.error().message;
#if defined(__x86_64__)
  setenv("CALLIOPE_ISA", "neon", 1);
#else
  setenv("CALLIOPE_ISA", "avx2", 1);
#endif
  checked = check_isa_request();
  ASSERT_FALSE(checked);
  EXPECT_NE(checked.error().message.find("lacks"), std::string::npos) << checked.error().message;
  for (const char* good : {"", "plain"}) {
    setenv("CALLIOPE_ISA", good, 1);
    EXPECT_TRUE(check_isa_request());
  }
  before ? setenv("CALLIOPE_ISA", restored.c_str(), 1) : unsetenv("CALLIOPE_ISA");
}

}  // namespace
}  // namespace calliope::kernels

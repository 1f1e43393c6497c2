#pragma once

#include <string>
#include <string_view>

namespace calliope::reading {

/// All of these take decimal digits only.

/// "1234" -> "one thousand two hundred thirty-four"; more than 15 digits, or zeros in front, one by one.
std::string cardinal(std::string_view digits);
/// "21" -> "twenty-first".
std::string ordinal(std::string_view digits);
/// "007" -> "zero zero seven".
std::string digit_by_digit(std::string_view digits);
/// Four digits: "1905" -> "nineteen oh five", "2026" -> "twenty twenty-six".
std::string year(std::string_view digits);
/// "twenty" -> "twenties", "day" -> "days".
std::string plural(std::string words);
/// Two digits as after an hour: "05" -> "oh five".
std::string minutes(std::string_view digits);
/// "1", "2" -> "one half"; "3", "4" -> "three quarters". Empty when nobody would say it so.
std::string fraction(std::string_view numerator, std::string_view denominator);

}  // namespace calliope::reading

#include "hearing/transcription_question.h"

#include <utility>

namespace calliope::hearing {

namespace {

constexpr std::pair<std::string_view, std::string_view> kLanguages[] = {
    {"af", "Afrikaans"},  {"ar", "Arabic"},     {"az", "Azerbaijani"}, {"be", "Belarusian"}, {"bg", "Bulgarian"},
    {"bn", "Bengali"},    {"bs", "Bosnian"},    {"ca", "Catalan"},     {"cs", "Czech"},      {"cy", "Welsh"},
    {"da", "Danish"},     {"de", "German"},     {"el", "Greek"},       {"en", "English"},    {"es", "Spanish"},
    {"et", "Estonian"},   {"eu", "Basque"},     {"fa", "Persian"},     {"fi", "Finnish"},    {"fr", "French"},
    {"ga", "Irish"},      {"gl", "Galician"},   {"gu", "Gujarati"},    {"he", "Hebrew"},     {"hi", "Hindi"},
    {"hr", "Croatian"},   {"hu", "Hungarian"},  {"hy", "Armenian"},    {"id", "Indonesian"}, {"is", "Icelandic"},
    {"it", "Italian"},    {"ja", "Japanese"},   {"ka", "Georgian"},    {"kk", "Kazakh"},     {"kn", "Kannada"},
    {"ko", "Korean"},     {"lt", "Lithuanian"}, {"lv", "Latvian"},     {"mi", "Maori"},      {"mk", "Macedonian"},
    {"ml", "Malayalam"},  {"mn", "Mongolian"},  {"mr", "Marathi"},     {"ms", "Malay"},      {"my", "Burmese"},
    {"ne", "Nepali"},     {"nl", "Dutch"},      {"no", "Norwegian"},   {"pa", "Punjabi"},    {"pl", "Polish"},
    {"pt", "Portuguese"}, {"ro", "Romanian"},   {"ru", "Russian"},     {"sk", "Slovak"},     {"sl", "Slovenian"},
    {"sq", "Albanian"},   {"sr", "Serbian"},    {"sv", "Swedish"},     {"sw", "Swahili"},    {"ta", "Tamil"},
    {"te", "Telugu"},     {"th", "Thai"},       {"tl", "Tagalog"},     {"tr", "Turkish"},    {"uk", "Ukrainian"},
    {"ur", "Urdu"},       {"uz", "Uzbek"},      {"vi", "Vietnamese"},  {"yo", "Yoruba"},     {"zh", "Chinese"}};

/// Puts `value` where `name` stands; a place without a value takes the blank beside it along.
void fill(std::string& text, std::string_view name, std::string_view value) {
  const size_t at = text.find(name);
  if (at == std::string::npos) return;
  size_t begin = at, end = at + name.size();
  if (value.empty()) {
    if (end < text.size() && text[end] == ' ')
      ++end;
    else if (begin > 0 && text[begin - 1] == ' ')
      --begin;
  }
  text.replace(begin, end - begin, value);
}

}  // namespace

std::string_view language_name(std::string_view code) {
  for (const auto& [known, name] : kLanguages) {
    if (code == known) return name;
  }
  return code;
}

std::string transcription_question(const assistant::TranscriptionStyle& style, std::string_view language,
                                   std::string_view prompt) {
  std::string question = style.question;
  // Last what comes from outside, so that it is not searched for places.
  fill(question, "{language}", language_name(language));
  fill(question, "{prompt}", prompt);
  return question;
}

}  // namespace calliope::hearing

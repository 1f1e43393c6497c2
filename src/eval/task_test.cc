// Task files of all three kinds, and what is wrong with others.
#include "eval/task.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "eval/python_literal.h"
#include "eval/table.h"

namespace calliope::eval {
namespace {

namespace fs = std::filesystem;

class TaskFiles : public testing::Test {
 protected:
  TaskFiles() : folder_(fs::temp_directory_path() / ("calliope_eval_" + std::to_string(getpid()))) { fs::create_directories(folder_); }
  ~TaskFiles() override { fs::remove_all(folder_); }
  std::string write(const std::string& name, const std::string& text) {
    std::ofstream(folder_ / name, std::ios::binary) << text;
    return (folder_ / name).string();
  }
  /// The message of the error that reading it gives.
  std::string refused(const std::string& name, const std::string& text) {
    const auto task = read_task(write(name, text));
    EXPECT_FALSE(task) << text;
    return task ? "" : task.error().message;
  }
  void expect_refused(const std::string& name, const std::string& text, const std::string& why) {
    const std::string message = refused(name, text);
    EXPECT_NE(message.find(why), std::string::npos) << message;
    EXPECT_NE(message.find(name), std::string::npos) << message;
  }
  fs::path folder_;
};

TEST_F(TaskFiles, JsonlOfTranscriptsByGroup) {
  const auto task = read_task(write("t.jsonl", R"({"task":{"rule":"wer"}}
{"text":"q","answer":"a","group":"cafe, 6 dB"}
{"text":"q","answer":"a"}
)"));
  ASSERT_TRUE(task) << task.error().message;
  ASSERT_EQ(task->metrics.size(), 2u);
  EXPECT_EQ(task->metrics[0].rule, Rule::wer);
  EXPECT_EQ(task->metrics[1].rule, Rule::words);
  EXPECT_EQ(task->items[0].group, "cafe, 6 dB");
  EXPECT_EQ(task->items[1].group, "");
}

TEST_F(TaskFiles, Jsonl) {
  const auto task = read_task(write("t.jsonl", R"({"task":{"name":"mixed","rule":"loose","max_tokens":9,"system":"Be brief."}}
{"id":"a","text":"What is it?","image":["x.png","/y.png"],"audio":"z.wav","answer":["A cat.","Cat"]}

{"text":"And now?","turns":[{"role":"user","text":"Hi"},{"role":"assistant","text":"Hello."}],"answer":{"n":1}}
)"));
  ASSERT_TRUE(task) << task.error().message;
  EXPECT_EQ(task->name, "mixed");
  EXPECT_EQ(task->max_tokens, 9);
  EXPECT_EQ(task->metrics.at(0).rule, Rule::loose);
  ASSERT_EQ(task->items.size(), 2u);
  const Item& first = task->items[0];
  EXPECT_EQ(first.id, "a");
  EXPECT_EQ(first.answers, (std::vector<std::string>{"A cat.", "Cat"}));
  ASSERT_EQ(first.turns.size(), 2u);
  EXPECT_EQ(first.turns[0].role, assistant::Role::system);
  ASSERT_EQ(first.turns[1].parts.size(), 4u);
  EXPECT_EQ(first.turns[1].parts[0].path, (folder_ / "x.png").string());
  EXPECT_EQ(first.turns[1].parts[1].path, "/y.png");
  EXPECT_EQ(first.turns[1].parts[2].kind, Part::Kind::sound);
  EXPECT_EQ(first.turns[1].parts[3].text, "What is it?");
  EXPECT_EQ(task->items[1].turns.size(), 4u);
  EXPECT_EQ(task->items[1].turns[2].role, assistant::Role::assistant);
  EXPECT_EQ(task->items[1].answers[0], R"({"n":1})");

  const auto choice = read_task(write("c.jsonl", R"({"text":"1+1?","choices":["1","2"],"answer":"2"})"));
  ASSERT_TRUE(choice) << choice.error().message;
  EXPECT_TRUE(choice->by_likelihood);
  EXPECT_EQ(choice->items[0].right, 1);
  EXPECT_EQ(choice->metrics.size(), 2u);

  expect_refused("e.jsonl", "", "no question");
  expect_refused("e.jsonl", "\n{\"text\":", "line 2: no JSON");
  expect_refused("e.jsonl", R"({"text":"x"})", "no 'answer'");
  expect_refused("e.jsonl", R"({"answer":"x"})", "nothing to ask");
  expect_refused("e.jsonl", R"({"text":"x","choices":["a"],"answer":"b"})", "none of the 'choices'");
  expect_refused("e.jsonl", R"({"task":{"rule":"fuzzy"}})", "no rule 'fuzzy'");
  expect_refused("e.jsonl", R"({"task":{"colour":1}})", "'colour'");
  expect_refused("e.jsonl", "{\"id\":1,\"text\":\"x\",\"answer\":\"y\"}\n{\"id\":1,\"text\":\"x\",\"answer\":\"y\"}", "two questions");
  EXPECT_FALSE(read_task((folder_ / "none.jsonl").string()));
  EXPECT_FALSE(read_task(write("x.txt", "x")));
}

TEST_F(TaskFiles, HarnessGenerateUntil) {
  write("data.jsonl", R"({"q":"2+2","a":"So 4. #### 4","n":[1,2]})" "\n" R"({"q":"3*3","a":"So 9. #### 9","n":[3]})" "\n");
  write("base.yaml", "output_type: generate_until\ndataset_path: json\nmetric_list:\n  - metric: exact_match\n    ignore_case: true\n    regexes_to_ignore: [',']\n");
  const auto task = read_task(write("t.yaml", R"yaml(task: sums
include: base.yaml
test_split: test
dataset_kwargs:
  data_files:
    test: data.jsonl
description: "Solve.\n"
doc_to_text: "Q: {{q}} ({{ n|join('-') }})\nA:"
doc_to_target: "{{a.split('####')[-1].strip()}}"
generation_kwargs:
  until: ["Q:", "</s>"]
  max_gen_toks: 32
  do_sample: false
filter_list:
  - name: strict
    filter:
      - function: regex
        regex_pattern: "(\\d+)"
        group_select: -1
      - function: take_first
)yaml"));
  ASSERT_TRUE(task) << task.error().message;
  EXPECT_EQ(task->name, "sums");
  EXPECT_FALSE(task->by_likelihood);
  EXPECT_EQ(task->max_tokens, 32);
  EXPECT_EQ(task->stop, (std::vector<std::string>{"Q:", "</s>"}));
  ASSERT_EQ(task->filters.size(), 2u);
  EXPECT_EQ(task->filters[0].group, -1);
  EXPECT_TRUE(task->metrics.at(0).ignore_case);
  EXPECT_EQ(task->metrics[0].ignore, std::vector<std::string>{","});
  ASSERT_EQ(task->items.size(), 2u);
  EXPECT_EQ(task->items[0].turns[0].parts[0].text, "Solve.\nQ: 2+2 (1-2)\nA:");
  EXPECT_EQ(task->items[1].answers, std::vector<std::string>{"9"});
}

TEST_F(TaskFiles, HarnessMultipleChoice) {
  write("data.csv", "question,a,b,label,options\n\"Is it, \"\"so\"\"?\",yes,no,1,\"['yes', \"\"it's no\"\"]\"\nReally?,yes,no,0,\"['yes','no']\"\n");
  const std::string head = "dataset_path: csv\ndataset_kwargs: {data_files: data.csv}\noutput_type: multiple_choice\ndoc_to_text: question\n";
  const auto task = read_task(write("t.yaml", head + "doc_to_choice: ['{{a}}', no]\ndoc_to_target: label\n"));
  ASSERT_TRUE(task) << task.error().message;
  EXPECT_TRUE(task->by_likelihood);
  EXPECT_EQ(task->items[0].turns[0].parts[0].text, "Is it, \"so\"?");
  EXPECT_EQ(task->items[0].right, 1);
  EXPECT_EQ(task->items[1].right, 0);
  EXPECT_EQ(task->metrics.size(), 2u);
  const auto listed = read_task(write("u.yaml", head + "doc_to_choice: options\ndoc_to_target: \"{{ 'yes' if label == 0 else \\\"it's no\\\" }}\"\nmetric_list: [{metric: acc}]\n"));
  ASSERT_TRUE(listed) << listed.error().message;
  EXPECT_EQ(listed->items[0].choices, (std::vector<std::string>{"yes", "it's no"}));
  EXPECT_EQ(listed->items[0].right, 1);
  const auto templated = read_task(write("v.yaml", head + "doc_to_choice: \"{{ [a, b] }}\"\ndoc_to_target: \"{{label}}\"\n"));
  ASSERT_TRUE(templated) << templated.error().message;
  EXPECT_EQ(templated->items[1].choices, (std::vector<std::string>{"yes", "no"}));

  const std::string rest = "doc_to_choice: [yes, no]\ndoc_to_target: label\n";
  expect_refused("w.yaml", head + "doc_to_choice: [yes, no]\ndoc_to_target: question\n", "none of its choices");
  expect_refused("w.yaml", head + rest + "num_fewshot: 5\n", "num_fewshot");
  expect_refused("w.yaml", head + rest + "metric_list: [{metric: f1}]\n", "'f1'");
  expect_refused("w.yaml", head + rest + "process_docs: !function utils.process\n", "process_docs");
  expect_refused("w.yaml", head + "doc_to_choice: !function utils.choices\ndoc_to_target: label\n", "Python function");
  expect_refused("w.yaml", "dataset_path: cais/mmlu\n" + rest + "doc_to_text: x\n", "only local files");
  expect_refused("w.yaml", head + "doc_to_target: [\n", "line");
  expect_refused("w.yaml", head + rest + "include: nowhere.yaml\n", "nowhere.yaml");
  expect_refused("w.yaml", "include: w.yaml\n", "includes");
  expect_refused("w.yaml", "group: all\ntask: [a, b]\n", "group");
}

TEST_F(TaskFiles, VlmEval) {
  // "picture" and "other" in base64.
  const auto task = read_task(write("t.tsv", "index\timage\tquestion\thint\tA\tB\tC\tanswer\tcategory\n"
                                             "1\tcGljdHVyZQ==\tWhat is it?\tLook.\tcat\tdog\t\tB\tx\n"
                                             "2\t1\t\"Which\ncolour?\"\tnan\tred\tgreen\tblue\tC\tx\n"
                                             "3\t\"['cGljdHVyZQ==', 'b3RoZXI=']\"\tSame?\t\tyes\tno\t\tA\ty\n"));
  ASSERT_TRUE(task) << task.error().message;
  EXPECT_EQ(task->metrics.at(0).rule, Rule::letter);
  ASSERT_EQ(task->items.size(), 3u);
  EXPECT_EQ(task->items[0].turns[0].parts[0].bytes, "picture");
  EXPECT_EQ(task->items[0].turns[0].parts[1].text,
            "Hint: Look.\nQuestion: What is it?\nOptions:\nA. cat\nB. dog\nPlease select the correct answer from the options above. \n");
  EXPECT_EQ(task->items[0].right, 1);
  EXPECT_EQ(task->items[1].turns[0].parts[0].bytes, "picture");
  EXPECT_EQ(task->items[1].choices.size(), 3u);
  EXPECT_EQ(task->items[2].turns[0].parts[1].bytes, "other");
  const auto open = read_task(write("o.tsv", "index\timage\tquestion\tanswer\n7\tcGljdHVyZQ==\tWhat does it say?\thello\n"));
  ASSERT_TRUE(open) << open.error().message;
  EXPECT_EQ(open->items[0].answers[0], "hello");
  expect_refused("e.tsv", "index\tquestion\n1\tx\n", "'answer'");
  expect_refused("e.tsv", "index\timage\tquestion\tanswer\n1\t!!!\tx\ty\n", "index 1");
  expect_refused("e.tsv", "index\tquestion\tA\tB\tanswer\n1\tx\ta\tb\tC\n", "none of the options");
  expect_refused("e.tsv", "index\tquestion\tanswer\n1\t\"x\ty\n", "not closed");
  expect_refused("e.tsv", "index\tquestion\tanswer\n1\tx\ty\tz\n", "line 2");
}

TEST(PythonStrings, ListsOfThem) {
  EXPECT_EQ(*python_strings(R"(['a', "it's", 'x\'y\n'])"), (std::vector<std::string>{"a", "it's", "x'y\n"}));
  EXPECT_EQ(*python_strings("[1, 2.5, True]"), (std::vector<std::string>{"1", "2.5", "True"}));
  EXPECT_TRUE(python_strings("[]")->empty());
  for (const char* text : {"", "a", "['a'", "['a' 'b']", "[a]", "['a]"}) EXPECT_FALSE(python_strings(text)) << text;
}

}  // namespace
}  // namespace calliope::eval

// docs/operations/acl.md shows what is true: its example is a good file whose cases hold, and its refusals
// read so.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <iterator>

#include <fmt/format.h>

#include "auth/acl/explanation.h"
#include "auth/acl/file_cases.h"
#include "auth/acl/rule_set.h"

namespace courier::auth::acl {
namespace {

using testing::HasSubstr;

std::string page() {
  const auto path = std::filesystem::path(SAMPLES_DIR) / "../../../../docs/operations/acl.md";
  std::ifstream in(path.lexically_normal(), std::ios::binary);
  EXPECT_TRUE(in) << path;
  return {std::istreambuf_iterator<char>(in), {}};
}

std::string example(std::string_view text) {
  constexpr std::string_view kOpen = "```acl\n";
  const size_t start = text.find(kOpen);
  EXPECT_NE(start, std::string_view::npos);
  text.remove_prefix(start + kOpen.size());
  return std::string(text.substr(0, text.find("```")));
}

TEST(AclPage, TheExampleIsGoodAndItsCasesHold) {
  const std::string text = page(), file = example(text);
  Labels labels;
  const auto rules = RuleSet::parse(file, "/etc/courier/acl", labels);
  ASSERT_TRUE(rules) << spelt("acl", rules.error());
  EXPECT_EQ(spelt("acl", parse_acl_file(file).notes), "");
  const FileCases cases = parse_file_cases(file);
  EXPECT_EQ(spelt("acl", cases.problems), "");
  for (const FileCase& one : cases.cases) EXPECT_EQ(difference(one, **rules), std::nullopt) << one.line;
  EXPECT_GE(cases.cases.size(), 10U);
  EXPECT_THAT(text, HasSubstr(fmt::format("ok, {} rules, {} test cases", (*rules)->rules().size(),
                                          cases.cases.size())));
}

TEST(AclPage, TheRefusalReadsAsShown) {
  std::string text = page();
  Labels labels;
  const auto rules = RuleSet::parse(example(text), "/etc/courier/acl", labels);
  ASSERT_TRUE(rules);
  // The page breaks the line.
  for (size_t at; (at = text.find("\n               ")) != std::string::npos;) text.replace(at, 16, " ");
  EXPECT_THAT(
      text,
      HasSubstr("because    " +
                explain(**rules, {"alice", "phone:7:1", ""}, Action::publish, "orders/4711/state").text()));
}

}  // namespace
}  // namespace courier::auth::acl

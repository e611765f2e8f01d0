#include "command_line.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "exit_code.h"

namespace courier::courierd {
namespace {

using testing::HasSubstr;

Parsed parse(const std::vector<const char*>& arguments) {
  std::vector<const char*> all = {"courierd"};
  all.insert(all.end(), arguments.begin(), arguments.end());
  return parse_command_line(static_cast<int>(all.size()), all.data());
}

TEST(CommandLine, ImportsOnlyWhenItIsToldTo) {
  EXPECT_FALSE(parse({}).exit_code);
  EXPECT_FALSE(parse({}).command_line.import_from);
  const Parsed imports = parse({"--import", "/old", "--config", "/new.toml"});
  EXPECT_FALSE(imports.exit_code);
  EXPECT_EQ(imports.command_line.import_from, "/old");
  EXPECT_EQ(imports.command_line.config_file, "/new.toml");
}

TEST(CommandLine, ImportOfAFolderWithoutANameIsRefusedAndServesNothing) {
  for (const std::vector<const char*>& arguments :
       {std::vector<const char*>{"--import", "", "--config", "/new.toml"},
        {"--config", "/new.toml", "--import", ""},
        {"--config", "/new.toml", "--import="},
        {"--config", "/new.toml", "--import"}}) {
    testing::internal::CaptureStderr();
    EXPECT_EQ(parse(arguments).exit_code, kUsage);
    EXPECT_THAT(testing::internal::GetCapturedStderr(), HasSubstr("--import"));
  }
  testing::internal::CaptureStderr();
  (void)parse({"--import", ""});
  EXPECT_THAT(testing::internal::GetCapturedStderr(), HasSubstr("has no name"));
}

TEST(CommandLine, CheckOfTheSettingsDoesNotImport) {
  for (const std::vector<const char*>& arguments :
       {std::vector<const char*>{"--check-config", "--import", "/old"},
        {"--import", "/old", "--check-config"}}) {
    testing::internal::CaptureStderr();
    EXPECT_EQ(parse(arguments).exit_code, kUsage);
    EXPECT_THAT(testing::internal::GetCapturedStderr(), HasSubstr("excludes"));
  }
}

}  // namespace
}  // namespace courier::courierd

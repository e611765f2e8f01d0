#include "config/credentials.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "config/check_text.h"
#include "config/load.h"
#include "config/schema.h"

namespace courier::config {
namespace {

using testing::HasSubstr;
using testing::Not;

class Credentials : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = std::filesystem::temp_directory_path() / ("courier_credentials_" + std::to_string(::getpid()));
    std::filesystem::create_directories(folder_);
    std::ofstream(folder_ / "passwords") << "top secret\n";
    std::ofstream(folder_ / "tls.key") << "top secret\n";
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }
  Settings settings(const std::vector<std::string>& overrides) {
    auto loaded = load(std::nullopt, overrides, {});
    EXPECT_TRUE(loaded) << loaded.error().message;
    return loaded ? *loaded : Settings{};
  }
  std::filesystem::path folder_;
};

TEST_F(Credentials, ANameStandsForAFileOfTheServicesOwn) {
  Settings with = settings({"auth.password_file=credential:passwords", "listener.a.bind=127.0.0.1:1",
                            "listener.a.protocol=mqtts", "listener.a.tls_certificates=/a.pem,/b.pem",
                            "listener.a.tls_keys=credential:tls.key,/b.key"});
  ASSERT_TRUE(resolve_credentials(with, folder_.c_str()));
  EXPECT_EQ(with.auth.password_file, folder_ / "passwords");
  EXPECT_EQ(with.listeners[0].tls_keys, (std::vector<std::string>{folder_ / "tls.key", "/b.key"}));
  EXPECT_EQ(with.listeners[0].tls_certificates[0], "/a.pem") << "a path stays what it is";
}

TEST_F(Credentials, OneThatIsNotThereIsNamedWithThoseThatAre) {
  Settings with = settings({"auth.password_file=credential:pasword", "admin.token_file=credential:tokens"});
  const auto resolved = resolve_credentials(with, folder_.c_str());
  ASSERT_FALSE(resolved);
  EXPECT_THAT(resolved.error().message, HasSubstr("auth.password_file: there is no credential pasword"));
  EXPECT_THAT(resolved.error().message, HasSubstr("LoadCredential=pasword:"));
  EXPECT_THAT(resolved.error().message, HasSubstr("There are: passwords, tls.key"));
  EXPECT_THAT(resolved.error().message, HasSubstr("admin.token_file: there is no credential tokens"));
  EXPECT_THAT(resolved.error().message, Not(HasSubstr("top secret")));
}

TEST_F(Credentials, WithoutSystemdItIsSaidWhoWouldGiveThem) {
  for (const char* directory : {static_cast<const char*>(nullptr), ""}) {
    Settings with = settings({"auth.password_file=credential:passwords"});
    EXPECT_THAT(resolve_credentials(with, directory).error().message,
                HasSubstr("$CREDENTIALS_DIRECTORY is not set"));
    Settings without = settings({"auth.password_file=/etc/courier/passwd"});
    EXPECT_TRUE(resolve_credentials(without, directory));
  }
}

TEST_F(Credentials, ANameIsNoWayOutOfTheDirectory) {
  for (const char* name : {"../passwd", "a/b", "..", ".", "", "a b", "a\tb"}) {
    const auto loaded = load(std::nullopt, {"auth.password_file=credential:" + std::string(name)}, {});
    ASSERT_FALSE(loaded) << name;
    EXPECT_THAT(loaded.error().message, HasSubstr("auth.password_file: a credential's name"));
  }
}

TEST_F(Credentials, EveryFileThatIsReadTakesOneAndNoOtherPathDoes) {
  for (const Section& section : schema()) {
    for (const Key& key : section.keys) {
      if (key.check != check_path && key.check != check_input_file) continue;
      const bool written = key.name == "data_dir" || full_name(section, key) == "log.file" ||
                           full_name(section, key) == "sink.path";
      EXPECT_EQ(key.check == check_input_file, !written) << full_name(section, key);
    }
  }
}

}  // namespace
}  // namespace courier::config

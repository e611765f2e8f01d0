// `courier doctor` as users meet it: the real command on this machine.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include <nlohmann/json.hpp>

#include "courier/command.h"
#include "courier/courier_process.h"

namespace courier::cli {
namespace {

using testing::HasSubstr;

class Doctor : public testing::Test {
 protected:
  Doctor() {
    std::string name = std::filesystem::temp_directory_path() / "courier-doctor-XXXXXX";
    folder_ = ::mkdtemp(name.data());
    std::filesystem::create_directory(folder_ + "/data");
  }
  ~Doctor() override { std::filesystem::remove_all(folder_); }
  std::string settings(const std::string& more) {
    const std::string file = folder_ + "/courierd.toml";
    std::ofstream(file) << "data_dir = \"" << folder_ << "/data\"\n[auth]\nallow_anonymous = true\n" << more;
    return file;
  }
  std::string folder_;
};

TEST_F(Doctor, ASmallNodeFitsOnThisMachineAndTheDataDirStaysEmpty) {
  const auto result = courier({"doctor", "--config", settings(""), "--connections", "10", "-o", "json"});
  EXPECT_EQ(result.code, kOk) << result.out << result.err;
  const auto json = nlohmann::json::parse(result.out);
  EXPECT_EQ(json["connections"], 10);
  EXPECT_EQ(json["sessions"], 10);
  EXPECT_EQ(json["fit"], true);
  EXPECT_GT(json["sync"]["count"], 0);
  EXPECT_GT(json["machine"]["cpus"], 0);
  EXPECT_TRUE(std::filesystem::is_empty(folder_ + "/data"));
}

TEST_F(Doctor, MoreConnectionsThanMemoryCarriesAreAProblem) {
  const auto result = courier({"doctor", "-c", settings(""), "-n", "100000000"});
  EXPECT_EQ(result.code, kFailure);
  EXPECT_THAT(result.out, HasSubstr("NOT fit for 100,000,000 connections"));
  EXPECT_THAT(result.out, HasSubstr("PROBLEM"));
  EXPECT_EQ(result.err, "");
  std::istringstream lines(result.out);
  for (std::string line; std::getline(lines, line);) {
    const bool has_long_name = line.find(folder_) != std::string::npos;
    EXPECT_TRUE(has_long_name || line.size() <= 80u) << line;
  }
}

TEST_F(Doctor, ListenersLimitsAreTheSizeThatIsMeant) {
  const auto file = settings("[[listener]]\nbind = \"127.0.0.1:1883\"\nconnections_max = 7\n");
  const auto json = nlohmann::json::parse(courier({"doctor", "-c", file, "-o", "json"}).out);
  EXPECT_EQ(json["connections"], 7);
  EXPECT_EQ(json["connections_asked"], true);
  EXPECT_EQ(json["connections_max"], 7);
  EXPECT_EQ(json["limited_by"], "settings.connections_max");
  const auto more = courier({"doctor", "-c", file, "-n", "8"});
  EXPECT_EQ(more.code, kFailure);
  EXPECT_EQ(courier({"doctor", "-c", file, "-n", "8", "--set", "listener.0.connections_max=8"}).code, kOk);
}

TEST_F(Doctor, WrongSettingsAreNamedWithTheirLine) {
  const auto result = courier({"doctor", "--config", settings("allow_anonymos = true\n"), "-n", "1"});
  EXPECT_EQ(result.code, kFailure);
  EXPECT_THAT(result.out, HasSubstr("courierd.toml:4"));
  EXPECT_THAT(result.out, HasSubstr("did you mean \"allow_anonymous\"?"));
}

TEST_F(Doctor, FlagsThatMakeNoSenseAreRefused) {
  EXPECT_EQ(courier({"doctor", "-n", "0"}).code, kUsage);
  EXPECT_EQ(courier({"doctor", "--sessions", "-1"}).code, kUsage);
  EXPECT_EQ(courier({"doctor", "-o", "yaml"}).code, kUsage);
}

}  // namespace
}  // namespace courier::cli

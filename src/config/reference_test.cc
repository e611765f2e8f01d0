#include "config/reference.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <regex>

#include "config/load.h"
#include "config/schema.h"

namespace courier::config {
namespace {

const std::filesystem::path kRoot = std::filesystem::path(SAMPLES_DIR) / ".." / ".." / "..";

void expect_committed(const std::string& path, const std::string& generated) {
  const auto full = (kRoot / path).lexically_normal();
  if (std::getenv("COURIER_REGENERATE")) {
    std::filesystem::create_directories(full.parent_path());
    std::ofstream(full, std::ios::binary) << generated;
  }
  std::ifstream in(full, std::ios::binary);
  const std::string committed{std::istreambuf_iterator<char>(in), {}};
  EXPECT_EQ(committed, generated) << path
                                  << " is not what the schema says; run COURIER_REGENERATE=1 config_test";
}

TEST(Reference, TheCommittedManualIsWhatTheSchemaSays) {
  expect_committed("docs/operations/configuration.md", manual_markdown());
}

TEST(Reference, TheCommittedSampleIsWhatTheSchemaSays) {
  expect_committed("packaging/courierd.toml", sample_toml());
}

Settings expected_from_sample() {
  Settings settings;
  settings.auth.allow_anonymous = true;
  Listener one;
  one.name = "mobile";
  one.bind = "0.0.0.0:1883";
  settings.listeners.push_back(one);
  return settings;
}

TEST(Reference, TheSampleSaysNothingButDefaultsAndOneListener) {
  const auto settings = parse(sample_toml(), "sample", {"auth.allow_anonymous=true"});
  ASSERT_TRUE(settings) << settings.error().message;
  EXPECT_EQ(*settings, expected_from_sample());
}

TEST(Reference, EveryLineThatTheSampleCommentsOutHoldsTheDefault) {
  std::string text = std::regex_replace(sample_toml(), std::regex("\n#(\\w+ = |\\[\\[)"), "\n$1");
  ASSERT_NE(text, sample_toml());
  const auto settings = parse(text, "sample", {"auth.allow_anonymous=true"});
  ASSERT_TRUE(settings) << settings.error().message;
  for (const Section& section : schema()) {
    for (const Key& key : section.keys) {
      SCOPED_TRACE(full_name(section, key));
      const bool by_example = section.repeated && (key.required || key.name == "name");
      ASSERT_EQ(owners(section, *settings), 1u);
      if (!by_example && full_name(section, key) != "auth.allow_anonymous") {
        EXPECT_EQ(toml_value(key, owner(section, *settings, 0)), toml_default(section, key));
      }
      EXPECT_NE(text.find("\n" + std::string(key.name) + " = "), std::string::npos) << key.name;
    }
  }
}

TEST(Schema, EveryKeyHasHelpThatIsASentenceAndADefaultInItsRange) {
  for (const Section& section : schema()) {
    for (const Key& key : section.keys) {
      SCOPED_TRACE(full_name(section, key));
      EXPECT_GT(key.help.size(), 20u);
      EXPECT_EQ(key.help.back(), '.');
      EXPECT_LE(key.min, key.max);
      if (const auto* number = std::get_if<NumberMember>(&key.member)) {
        const int64_t value = number->get(fresh(section));
        EXPECT_TRUE((value >= key.min && value <= key.max) || (value == 0 && !key.zero_means.empty()));
      }
    }
  }
}

TEST(Schema, SettingTheLargestValueReadsBackSoNoMemberIsTooNarrow) {
  for (const Section& section : schema()) {
    for (const Key& key : section.keys) {
      const auto* number = std::get_if<NumberMember>(&key.member);
      if (!number || key.kind == Kind::boolean || key.kind == Kind::choice) continue;
      Settings settings;
      if (section.repeated) section.rows.add(settings);
      void* set = owner(section, settings, 0);
      number->set(set, key.max);
      EXPECT_EQ(number->get(set), key.max) << full_name(section, key);
    }
  }
}

using Names = std::vector<std::string>;

TEST(Changes, WhatMayIsTakenOverAndTheRestNeedsARestart) {
  Settings running, wanted;
  EXPECT_TRUE(changes(running, wanted).applied.empty());
  wanted.log.level = log::Level::debug;
  wanted.limits.inflight_max = 7;
  wanted.auth.order = {"anonymous"};
  wanted.data_dir = "/elsewhere";
  wanted.threads = 3;
  const Changes found = changes(running, wanted);
  EXPECT_EQ(found.applied, (Names{"auth.order", "limits.inflight_max", "log.level"}));
  EXPECT_EQ(found.need_restart, (Names{"data_dir", "threads"}));
  Settings expected = wanted;
  expected.data_dir = running.data_dir;
  expected.threads = running.threads;
  EXPECT_EQ(found.settings, expected);
}

TEST(Changes, RowsAreComparedByTheirNames) {
  Settings running;
  running.listeners.resize(2);
  running.listeners[0].name = "a";
  running.listeners[1].name = "b";
  Settings wanted = running;
  std::swap(wanted.listeners[0], wanted.listeners[1]);
  EXPECT_TRUE(changes(running, wanted).need_restart.empty());
  wanted.listeners[0].bind = "0.0.0.0:1";
  wanted.listeners[0].connections_max = 9;
  Changes found = changes(running, wanted);
  EXPECT_EQ(found.need_restart, (Names{"listener.b.bind"}));
  EXPECT_EQ(found.applied, (Names{"listener.b.connections_max"}));
  Settings expected = running;
  expected.listeners[1].connections_max = 9;
  EXPECT_EQ(found.settings, expected) << "the rows that run stay in their places";
  wanted.listeners[1].name = "c";
  found = changes(running, wanted);
  EXPECT_EQ(found.need_restart, (Names{"listener.b.bind", "listener.c", "listener.a"}));
  EXPECT_EQ(found.settings, expected);
}

TEST(Schema, EveryRepeatedSectionHasRowsWithAName) {
  for (const Section& section : schema()) {
    EXPECT_EQ(section.repeated, section.rows.size != nullptr) << section.name;
    EXPECT_TRUE(!section.repeated || section.find("name")) << section.name;
  }
}

}  // namespace
}  // namespace courier::config

#include "relay/settings.h"

#include <gtest/gtest.h>

namespace courier::relay {
namespace {

constexpr std::string_view kGood = R"(
[kafka]
brokers = "kafka:9092"
group = "g"
topics = ["courier-publish"]
[http]
url = "https://backend/{client_id}"
)";

std::string problems(const std::string& text) {
  const auto settings = parse(text, "relay.toml");
  return settings ? "good" : settings.error().message;
}
std::string with(std::string_view more) {
  return problems(std::string(kGood) + std::string(more));
}
bool says(const std::string& text, std::string_view part) {
  return text.find(part) != std::string::npos;
}

TEST(RelaySettings, TheExampleParsesAndStandsAtTheDefaults) {
  const auto settings = parse(example(), "example");
  ASSERT_TRUE(settings) << settings.error().message;
  EXPECT_EQ(settings->kafka.connection.brokers, "kafka1:9092,kafka2:9092");
  EXPECT_EQ(settings->kafka.topics.size(), 2u);
  EXPECT_EQ(settings->http.parallel, HttpSettings().parallel);
  EXPECT_EQ(settings->retry.max, RetrySettings().max);
  // What is commented out can be taken in, each at its default or as its example says.
  std::string all;
  std::string text = example();
  for (size_t at = 0; at < text.size();) {
    const size_t end = text.find('\n', at);
    std::string line = text.substr(at, end - at);
    if (line.starts_with('#') && !line.starts_with("# ")) line.erase(0, 1);
    all += line + '\n';
    at = end + 1;
  }
  const auto uncommented = parse(all, "all");
  EXPECT_TRUE(uncommented) << uncommented.error().message;
}

TEST(RelaySettings, EveryValueArrives) {
  const auto settings = parse(std::string(kGood) + R"(
headers = ["x: {topic}"]
batch = "cloudevents"
linger = "20ms"
batch_bytes_max = "2MB"
[filter]
events = ["publish"]
topics = ["a/#"]
[retry]
first = "1s"
max = "2s"
attempts = 3
[dead_letter]
topic = "dead"
[admin]
bind = ""
[stop]
timeout = 3
)",
                              "relay.toml");
  ASSERT_TRUE(settings) << settings.error().message;
  EXPECT_EQ(settings->http.batch, Batch::cloudevents);
  EXPECT_EQ(settings->http.linger, 20ms);
  EXPECT_EQ(settings->http.batch_bytes_max, 2 * kMegabyte);
  EXPECT_EQ(settings->retry.attempts, 3u);
  EXPECT_EQ(settings->dead_letter_topic, "dead");
  EXPECT_EQ(settings->admin_bind, "");
  EXPECT_EQ(settings->stop_timeout, 3s);
}

TEST(RelaySettings, WhatIsMissingIsNamed) {
  const std::string found = problems("");
  for (const char* key : {"kafka.brokers", "kafka.group", "kafka.topics", "http.url"})
    EXPECT_TRUE(says(found, std::string("relay.toml: ") + key + ": it has to be set")) << found;
}

TEST(RelaySettings, EveryProblemHasItsLineItsKeyAndWhatToDo) {
  EXPECT_EQ(with("timout = 5"), "relay.toml:8: [http] has no key \"timout\"; did you mean \"timeout\"?");
  EXPECT_EQ(with("[dead_leter]\ntopic = \"x\""),
            "relay.toml:8: there is no section [dead_leter]; did you mean \"dead_letter\"?");
  EXPECT_EQ(with("[[filter]]"), "relay.toml:8: \"filter\" stands once: write [filter]");
  EXPECT_TRUE(says(with("parallel = 0"), "relay.toml:8: http.parallel: must be 1 to 1024"));
  EXPECT_TRUE(says(with("timeout = \"soon\""), "relay.toml:8: http.timeout: must be a duration"));
  EXPECT_TRUE(says(with("body = \"{topc}\""), "relay.toml:8: http.body: there is no field {topc}"));
  EXPECT_TRUE(says(with("headers = [\"x\"]"), "relay.toml:8: http.headers: it must be \"Name: value\""));
  EXPECT_TRUE(says(with("[filter]\nevents = [\"pubish\"]"),
                   "relay.toml:9: filter.events: \"pubish\": there is no such event"));
  EXPECT_TRUE(says(with("[filter]\ntopics = [\"a/#/b\"]"), "it is no topic filter"));
  EXPECT_TRUE(
      says(with("[retry]\nattempts = 5"), "relay.toml:9: retry.attempts: what is given up needs a place"));
  EXPECT_TRUE(says(with("[retry]\nfirst = 120"), "relay.toml:9: retry.first: it is longer than retry.max"));
  EXPECT_TRUE(says(with("[dead_letter]\ntopic = \"courier-publish\""), "it is one of kafka.topics"));
  EXPECT_TRUE(says(problems("[kafka]\ntopics = [\"^courier-.*\"]\n[dead_letter]\ntopic = \"courier-dead\""),
                   "relay.toml:4: dead_letter.topic: it is one of kafka.topics (\"^courier-.*\")"));
  EXPECT_TRUE(says(problems("[http]\nurl = \"http://a:b@host/\""), "it names a user"));
  EXPECT_TRUE(says(with("batch = \"cloudevents\"\nbody = \"x\""), "relay.toml:9: http.body: CloudEvents"));
  EXPECT_TRUE(says(with("x ="), "relay.toml:8: this line is not TOML"));
  EXPECT_TRUE(says(problems("group = \"x\"\n"), "relay.toml:1: there is no section [group]"));
}

TEST(RelaySettings, AFieldNeverChoosesTheHost) {
  for (const char* url :
       {"https://{client_id}/x", "https://{client_id}", "http://backend:{qos}/", "http://a.{topic}.b/"})
    EXPECT_TRUE(says(problems(std::string("[http]\nurl = \"") + url + "\""), "behind the host only")) << url;
}

TEST(RelaySettings, ASecretIsNotRepeated) {
  for (const char* line : {"headers = [\"Authorization Bearer s3cret\"]", "headers = \"s3cret\"",
                           "headers = [\"s3cret\" \"", "headers = [\"a: {s3cret}\"]"})
    EXPECT_FALSE(says(with(line), "s3cret \"") || says(with(line), "Bearer s3cret")) << with(line);
}

}  // namespace
}  // namespace courier::relay

// The program as users meet it: flags in, output and exit code out. The server is mosquitto, which others
// wrote.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "client/blocking_client.h"
#include "client/mosquitto_server.h"
#include "courier/command.h"
#include "courier/courier_process.h"

namespace courier::cli {
namespace {

using client::Mosquitto;
using testing::HasSubstr;
using testing::StartsWith;

TEST(Usage, HelpIsOnStdoutAndMistakesAreOnStderr) {
  const auto help = courier({"pub", "--help"});
  EXPECT_EQ(help.code, kOk);
  EXPECT_THAT(help.out, HasSubstr("Usage: courier pub"));
  EXPECT_THAT(help.out, HasSubstr("Examples:"));
  EXPECT_EQ(help.err, "");
  const auto mistake = courier({"pub", "--nonsense"});
  EXPECT_EQ(mistake.code, kUsage);
  EXPECT_EQ(mistake.out, "");
  EXPECT_THAT(mistake.err, HasSubstr("See `courier pub --help`"));
  EXPECT_EQ(courier({}).code, kUsage);
  EXPECT_THAT(courier({"--version"}).out, StartsWith("courier "));
}

TEST(Usage, AMisspeltCommandIsNamedAndTheNearestOneOffered) {
  const auto misspelt = courier({"pbu"});
  EXPECT_EQ(misspelt.code, kUsage);
  EXPECT_THAT(misspelt.err, HasSubstr("no command \"pbu\"; did you mean \"pub\"?"));
  EXPECT_THAT(courier({"client", "lss"}).err, HasSubstr("did you mean \"ls\"?"));
  EXPECT_THAT(courier({"client"}).err, HasSubstr("a command is missing"));
  EXPECT_THAT(courier({"--tokn", "x"}).err, HasSubstr("no flag --tokn"));
  EXPECT_EQ(courier({"help", "pub"}).out, courier({"pub", "--help"}).out);
}

TEST(Usage, ANumberOutOfItsRangeIsSaidWithTheRange) {
  EXPECT_THAT(courier({"sub", "-t", "a", "-W", "x"}).err, HasSubstr("\"x\" is not a number above 0"));
  EXPECT_THAT(courier({"sub", "-t", "a", "-q", "3"}).err,
              HasSubstr("\"3\" is not a whole number from 0 to 2"));
  EXPECT_THAT(courier({"demo", "--rate", "0.5"}).err, HasSubstr("\"0.5\" is not a whole number"));
}

TEST(Usage, OutputThatCannotBeWrittenIsAFailure) {
  EXPECT_EQ(WEXITSTATUS(std::system(COURIER_BINARY " config reference >/dev/full 2>/dev/null")), kFailure);
}

TEST(Usage, FlagsOfTheAdminSideWinOverTheEnvironment) {
  ::setenv("COURIER_ADMIN_URL", "http://127.0.0.1:1/of-the-environment", 1);
  EXPECT_THAT(courier({"client", "ls"}).err, HasSubstr("of-the-environment"));
  for (const std::vector<std::string>& command : {std::vector<std::string>{"client", "ls"},
                                                  {"client", "show", "x"},
                                                  {"node", "status"},
                                                  {"node", "ls"},
                                                  {"node", "drain"},
                                                  {"node", "undrain"},
                                                  {"cluster", "status"},
                                                  {"cluster", "partitions"},
                                                  {"cluster", "health"},
                                                  {"backup", "/x"}}) {
    auto arguments = command;
    arguments.insert(arguments.end(), {"--admin", "http://127.0.0.1:1/of-the-flag"});
    const auto result = courier(arguments);
    EXPECT_EQ(result.code, kNoConnection);
    EXPECT_THAT(result.err, HasSubstr("of-the-flag")) << command.front();
  }
  ::unsetenv("COURIER_ADMIN_URL");
}

TEST(Usage, EveryCommandIsInTheHelpAndHasAnExample) {
  const auto help = courier({"--help"});
  for (const Command& command : commands()) {
    EXPECT_THAT(help.out, HasSubstr(std::string(command.summary)));
    const auto own = courier({std::string(command.name), "--help"});
    EXPECT_EQ(own.code, kOk);
    EXPECT_THAT(own.out, HasSubstr("xample")) << command.name;
  }
}

TEST(Usage, ContradictionsAreRefusedBeforeAnyConnection) {
  const std::vector<std::pair<std::vector<std::string>, std::string>> cases = {
      {{"pub", "-t", "a"}, "-m TEXT, -f FILE"},
      {{"pub", "-t", "a", "-m", "x", "-n"}, "-m TEXT, -f FILE"},
      {{"pub", "-m", "x"}, "-t TOPIC"},
      {{"sub"}, "-t FILTER"},
      {{"sub", "-t", "a", "-c"}, "-i ID"},
      {{"sub", "-t", "a", "-V", "4"}, "5, 311 and 31"},
      {{"pub", "-t", "a", "-m", "x", "-V", "311", "-D", "publish", "content-type", "x"}, "only MQTT 5.0"},
      {{"sub", "-t", "a", "-F", "%z"}, "means nothing"},
      {{"sub", "-t", "a", "-F", "%p", "-o", "json"}, "exclude each other"},
      {{"demo", "--node", "n1=127.0.0.1:1"}, "--kill"},
      {{"demo", "--kill", "n1=1"}, "--node"},
      {{"demo", "--node", "n1=127.0.0.1:1", "--kill", "n1=1"}, "two nodes or more"},
      {{"demo", "--node", "n1", "--kill", "n1=1"}, "NAME=HOST:PORT"},
      {{"demo", "--node", "n1=127.0.0.1:1", "--kill", "n1=1", "--courierd", "/x"}, "--courierd"},
      {{"sub", "-L", "http://x"}, "mqtt://"},
      {{"sub", "-L", "mqttx://x/t"}, "mqtts://, ws:// or wss://"},
      {{"sub", "-L", "ws://x/a b", "-t", "a"}, "%20"},
      {{"sub", "-L", "mqtt://x/t", "--cafile", "/ca.pem"}, "mqtts:// is with it"},
      {{"sub", "-L", "ws://x/", "-t", "a", "--insecure"}, "wss:// is with it"},
      {{"sub", "-t", "a", "--cert", "/me.pem"}, "--key FILE"},
      {{"sub", "-t", "a", "--key", "/me.key"}, "--cert FILE"},
      {{"sub", "-t", "a", "--capath", "/etc/ssl/certs", "--tls-use-os-certs"}, "exclude each other"},
      {{"sub", "-L", "mqtt://h:99999/t"}, "not a port"},
      {{"sub", "-t", "a", "--will-payload", "x"}, "--will-topic"},
      {{"sub", "-t", "a", "-x", "soon"}, "number of seconds"},
  };
  for (const auto& [arguments, text] : cases) {
    const auto result = courier(arguments);
    EXPECT_EQ(result.code, kUsage) << text;
    EXPECT_THAT(result.err, HasSubstr(text));
  }
}

TEST(Usage, ImportNeedsTheSettingsAndCourierd) {
  EXPECT_EQ(courier({"cluster", "import", "/x"}).code, kUsage);
  EXPECT_EQ(courier({"cluster", "import", "--config", "/x"}).code, kUsage);
  const auto unnamed = courier({"cluster", "import", "", "--config", "/y", "--courierd", "/no/courierd"});
  EXPECT_EQ(unnamed.code, kUsage) << "courierd must not be started: without --import it serves";
  EXPECT_THAT(unnamed.err, HasSubstr("DATA_DIR: it is empty (is a variable not set?)"));
  EXPECT_EQ(courier({"cluster", "import", "/x", "--config", "", "--courierd", "/no/courierd"}).code, kUsage);
  const auto result = courier({"cluster", "import", "/x", "--config", "/y", "--courierd", "/no/courierd"});
  EXPECT_EQ(result.code, kFailure);
  EXPECT_THAT(result.err, HasSubstr("/no/courierd cannot be started: No such file"));
  EXPECT_THAT(courier({"cluster", "import", "--help"}).out, HasSubstr("run it again"));
}

TEST(Connection, RefusedSaysWhereAndAsksForCourierd) {
  const auto result = courier({"pub", "-h", "127.0.0.1", "-p", "1", "-t", "a", "-m", "x"});
  EXPECT_EQ(result.code, kNoConnection);
  EXPECT_THAT(result.err, HasSubstr("connection refused"));
  EXPECT_THAT(result.err, HasSubstr("Is courierd running at 127.0.0.1:1?"));
  EXPECT_EQ(courier({"sub", "-p", "1", "-t", "a"}).code, kNoConnection);
  EXPECT_EQ(courier({"sub", "-p", "1", "-t", "a", "--quiet"}).err, "");
}

TEST(Completion, ScriptsNameEveryCommandAndAreLegal) {
  for (const std::string shell : {"bash", "zsh", "fish"}) {
    const auto result = courier({"completion", shell});
    EXPECT_EQ(result.code, kOk);
    for (const Command& command : commands()) EXPECT_THAT(result.out, HasSubstr(std::string(command.name)));
    EXPECT_THAT(result.out, HasSubstr("will-payload"));
  }
  EXPECT_EQ(courier({"completion", "tcsh"}).code, kUsage);
}

TEST(Completion, BashCompletesCommandsAndFlags) {
  const auto complete = [](const std::string& words, int index) {
    const std::string script = fmt::format(
        "source <({} completion bash); COMP_WORDS=({}); COMP_CWORD={}; _courier; echo \"${{COMPREPLY[@]}}\"",
        COURIER_BINARY, words, index);
    FILE* pipe = ::popen(fmt::format("bash -c '{}'", script).c_str(), "r");
    char room[4'096];
    const size_t count = std::fread(room, 1, sizeof room, pipe);
    ::pclose(pipe);
    return std::string(room, count);
  };
  EXPECT_EQ(complete("courier pu", 1), "pub\n");
  EXPECT_EQ(complete("courier sub --will-p", 2), "--will-payload\n");
  EXPECT_EQ(complete("courier config che", 2), "check\n");
  EXPECT_EQ(complete("courier sub -o \"\"", 3), "table json ndjson\n");
  EXPECT_EQ(complete("courier completion \"\"", 2), "bash zsh fish\n");
  EXPECT_EQ(complete("courier inspect /dev/nul", 2), "/dev/null\n");
}

TEST(Config, ReferencePassesItsOwnCheckAndMistakesAreNamed) {
  std::string path = std::filesystem::temp_directory_path() / "courier-config-XXXXXX";
  const net::Fd fd(::mkstemp(path.data()));
  const auto reference = courier({"config", "reference"});
  EXPECT_EQ(reference.code, kOk);
  EXPECT_THAT(reference.out, HasSubstr("data_dir"));
  std::ofstream(path) << reference.out;
  const auto checked = courier({"config", "check", path, "--set", "auth.allow_anonymous=true"});
  EXPECT_EQ(checked.code, kOk) << checked.err;
  std::ofstream(path) << "[auth]\nallow_anonymos = true\n";
  const auto wrong = courier({"config", "check", path});
  EXPECT_EQ(wrong.code, kFailure);
  EXPECT_THAT(wrong.err, HasSubstr("allow_anonymous"));
  std::filesystem::remove(path);
}

TEST(LoadCheck, AKeyThatIsNotInTheEnvironmentIsSaid) {
  std::string path = std::filesystem::temp_directory_path() / "courier-scenario-XXXXXX";
  const net::Fd fd(::mkstemp(path.data()));
  std::ofstream(path)
      << "courier_load: 1\n"
         "name: keys\n"
         "target: { brokers: [ \"mqtt://127.0.0.1:1883\" ] }\n"
         "groups:\n"
         "  phones:\n"
         "    count: 2\n"
         "    username: \"{n}\"\n"
         "    password: { jwt: { alg: HS256, key_env: COURIER_TEST_JWT_KEY, claims: {}, ttl: 2h } }\n"
         "    mqtt: { version: 3.1.1, clean_session: true, keepalive: 60s }\n"
         "stages:\n"
         "  - { name: connect, timeout: 9s, steps: [ { connect: { group: phones, over: 1s } } ], "
         "until: { connected: 100% } }\n";
  ::unsetenv("COURIER_TEST_JWT_KEY");
  const auto without = courier({"load", "check", path});
  EXPECT_EQ(without.code, kOk) << without.err;
  EXPECT_THAT(without.err, HasSubstr("set the environment variable COURIER_TEST_JWT_KEY"));
  ::setenv("COURIER_TEST_JWT_KEY", "secret", 1);
  EXPECT_EQ(courier({"load", "check", path}).err, "");
  ::unsetenv("COURIER_TEST_JWT_KEY");
  std::filesystem::remove(path);
}

TEST(LoadAgents, AddressesAreReadAsEverywhere) {
  const auto run_with = [](const char* agent) {
    return courier({"load", "quick", "conn", "-c", "1", "-d", "1", "--quiet", "--agent", agent});
  };
  for (const char* wrong : {"nowhere", "127.0.0.1:0", "127.0.0.1:65536", "localhost:+80", "unix:/x"}) {
    EXPECT_THAT(run_with(wrong).err, HasSubstr("expected HOST:PORT")) << wrong;
  }
  for (const char* nobody : {"127.0.0.1:1", "localhost:1", "[::1]:1"}) {
    EXPECT_THAT(run_with(nobody).err, testing::Not(HasSubstr("expected"))) << nobody;
    EXPECT_THAT(run_with(nobody).err, HasSubstr("refused")) << nobody;
  }
}

TEST(Passwd, AddsListsAndRemovesUsers) {
  std::string directory = std::filesystem::temp_directory_path() / "courier-passwd-XXXXXX";
  ASSERT_NE(::mkdtemp(directory.data()), nullptr);
  const std::string file = directory + "/passwd";
  EXPECT_EQ(courier({"passwd", file, "alice", "-b", "secret"}).code, kOk);
  EXPECT_EQ(courier({"passwd", file, "bob", "--stdin"}, "other\n").code, kOk);
  EXPECT_EQ(courier({"passwd", file, "--list"}).out, "alice\nbob\n");
  const auto nobody = courier({"passwd", file, "carol"});  // no terminal to ask at
  EXPECT_EQ(nobody.code, kUsage);
  EXPECT_EQ(courier({"passwd", file, "alice", "-D"}).code, kOk);
  EXPECT_EQ(courier({"passwd", file, "alice", "-D"}).code, kFailure);
  EXPECT_EQ(courier({"passwd", file, "--list"}).out, "bob\n");
  std::filesystem::remove_all(directory);
}

class WithServer : public testing::Test {
 protected:
  void SetUp() override {
    if (!Mosquitto::instance().running()) {
      GTEST_SKIP() << "*** NOT TESTED: mosquitto is not installed (apt-get install mosquitto) ***";
    }
  }
  std::string port() const { return std::to_string(Mosquitto::instance().port()); }
  std::string topic() const { return testing::UnitTest::GetInstance()->current_test_info()->name(); }
  // A subscriber that is listening already.
  std::unique_ptr<Process> sub(std::vector<std::string> more) {
    more.insert(more.begin(), {"sub", "-p", port(), "-d"});
    auto process = std::make_unique<Process>(more);
    EXPECT_TRUE(process->wait_for_note(": subscribed")) << process->err;
    return process;
  }
  Outcome pub(std::vector<std::string> more, std::string_view input = "") {
    more.insert(more.begin(), {"pub", "-p", port()});
    return courier(more, input);
  }
  std::unique_ptr<client::BlockingClient> observer(std::string filter) {
    auto one = *client::BlockingClient::create({.server = Mosquitto::instance().endpoint()});
    EXPECT_TRUE(one->connect());
    EXPECT_TRUE(one->subscribe({{std::move(filter), {.qos = client::Qos::exactly_once}}}));
    return one;
  }
};

TEST_F(WithServer, FiguresOfALoadTestGoToStdoutWhenTheFileIsADash) {
  const auto result = courier({"load", "quick", "conn", "-c", "2", "-R", "100", "-d", "1", "--lag-max",
                               "20000", "--quiet", "--json", "-", "-p", port()});
  EXPECT_EQ(result.code, kOk) << result.err;
  EXPECT_TRUE(nlohmann::json::accept(result.out)) << result.out;
  EXPECT_THAT(result.err, HasSubstr("connect"));
  EXPECT_FALSE(std::filesystem::exists("-"));
}

TEST_F(WithServer, EveryQosAndVersionArrives) {
  for (const char* version : {"31", "311", "5"}) {
    for (const char* qos : {"0", "1", "2"}) {
      auto subscriber = sub({"-t", topic(), "-q", qos, "-V", version, "-C", "1", "-v"});
      const auto published = pub({"-t", topic(), "-m", "hello", "-q", qos, "-V", version});
      EXPECT_EQ(published.code, kOk) << published.err;
      EXPECT_EQ(published.out + published.err, "");
      EXPECT_EQ(subscriber->wait(), kOk);
      EXPECT_EQ(subscriber->out, topic() + " hello\n");
    }
  }
}

TEST_F(WithServer, LinesOfStdinAreMessagesInOrder) {
  auto subscriber = sub({"-t", topic(), "-q", "1", "-C", "500"});
  std::string lines;
  for (int i = 0; i < 500; ++i) lines += std::to_string(i) + "\n";
  lines.pop_back();  // the last line has no end
  Process publisher({"pub", "-p", port(), "-t", topic(), "-l", "-q", "1"});
  publisher.write(lines);
  EXPECT_EQ(publisher.wait(), kOk) << publisher.err;
  EXPECT_EQ(subscriber->wait(), kOk);
  EXPECT_EQ(subscriber->out, lines + "\n");
}

TEST_F(WithServer, ALineLeavesBeforeTheNextOneIsTyped) {
  auto subscriber = sub({"-t", topic()});
  Process publisher({"pub", "-p", port(), "-t", topic(), "-l"});
  publisher.write("first\n");
  EXPECT_TRUE(subscriber->wait_for_output("first\n"));
  publisher.write("second\n");
  EXPECT_TRUE(subscriber->wait_for_output("second\n"));
  EXPECT_EQ(publisher.wait(), kOk);
}

TEST_F(WithServer, FileStdinAndNothingAreMessages) {
  auto watcher = observer(topic() + "/+");
  std::string path = std::filesystem::temp_directory_path() / "courier-file-XXXXXX";
  const net::Fd fd(::mkstemp(path.data()));
  std::ofstream(path) << "two\nlines\n";
  EXPECT_EQ(pub({"-t", topic() + "/f", "-f", path}).code, kOk);
  EXPECT_EQ(watcher->receive()->payload, "two\nlines\n");
  EXPECT_EQ(pub({"-t", topic() + "/s", "-s"}, "whole\ninput").code, kOk);
  EXPECT_EQ(watcher->receive()->payload, "whole\ninput");
  EXPECT_EQ(pub({"-t", topic() + "/n", "-n"}).code, kOk);
  EXPECT_EQ(watcher->receive()->payload, "");
  EXPECT_EQ(pub({"-t", topic() + "/f", "-f", path + ".missing"}).code, kFailure);
  EXPECT_EQ(pub({"-t", topic() + "/m", "-m", "--dashes"}).code, kOk);
  EXPECT_EQ(watcher->receive()->payload, "--dashes");
  std::filesystem::remove(path);
}

TEST_F(WithServer, RepeatsAndSeveralTopics) {
  auto watcher = observer(topic() + "/#");
  EXPECT_EQ(pub({"-t", topic() + "/a", "-t", topic() + "/b", "-m", "x", "--repeat", "3", "--repeat-delay",
                 "0.01", "-q", "1"})
                .code,
            kOk);
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(watcher->receive()->topic, topic() + "/a");
    EXPECT_EQ(watcher->receive()->topic, topic() + "/b");
  }
  EXPECT_FALSE(watcher->receive(50));
}

TEST_F(WithServer, PropertiesTravel) {
  auto watcher = observer(topic());
  EXPECT_EQ(pub({"-t", topic(), "-m", "x", "-D", "publish", "content-type", "text/plain", "-D", "publish",
                 "user-property", "k", "v", "-D", "publish", "message-expiry-interval", "90"})
                .code,
            kOk);
  const auto message = watcher->receive();
  ASSERT_TRUE(message);
  EXPECT_EQ(message->properties.content_type, "text/plain");
  EXPECT_EQ(message->properties.user_properties, (client::UserPropertyList{{"k", "v"}}));
  EXPECT_LE(message->properties.message_expiry_seconds.value_or(1'000), 90u);

  auto subscriber =
      sub({"-t", topic(), "-D", "subscribe", "subscription-identifier", "5", "-F", "%S %C %P", "-C", "1"});
  pub({"-t", topic(), "-m", "x", "-D", "publish", "content-type", "c", "-D", "publish", "user-property", "a",
       "b"});
  EXPECT_EQ(subscriber->wait(), kOk);
  EXPECT_EQ(subscriber->out, "5 c a:b\n");
}

TEST_F(WithServer, OutputsForProgramsAndPeople) {
  EXPECT_EQ(pub({"-t", topic() + "/a", "-m", "one", "-r", "-q", "1"}).code, kOk);
  EXPECT_EQ(pub({"-t", topic() + "/b", "-m", "two", "-r", "-q", "1"}).code, kOk);
  const auto read = [&](const std::string& output) {
    const auto result =
        courier({"sub", "-p", port(), "-t", topic() + "/+", "-o", output, "-C", "2", "-W", "20"});
    EXPECT_EQ(result.code, kOk) << result.err;
    return result.out;
  };
  const auto array = nlohmann::json::parse(read("json"));
  ASSERT_EQ(array.size(), 2u);
  EXPECT_EQ(array[0]["payload"], "one");
  EXPECT_EQ(array[1]["retain"], 1);
  const std::string lines = read("ndjson");
  EXPECT_EQ(std::count(lines.begin(), lines.end(), '\n'), 2);
  EXPECT_EQ(nlohmann::json::parse(lines.substr(0, lines.find('\n')))["topic"], topic() + "/a");
  const std::string table = read("table");
  EXPECT_THAT(table, StartsWith("TIME"));
  EXPECT_EQ(std::count(table.begin(), table.end(), '\n'), 3);

  // Nothing came: still an array.
  const auto none = courier({"sub", "-p", port(), "-t", topic() + "/none", "-o", "json", "-W", "0.2"});
  EXPECT_EQ(none.code, kTimeout);
  EXPECT_EQ(none.out, "[]\n");

  const auto removing = courier(
      {"sub", "-p", port(), "-t", topic() + "/+", "--remove-retained", "-C", "2", "-q", "1", "-W", "20"});
  EXPECT_EQ(removing.code, kOk);
  EXPECT_EQ(courier({"sub", "-p", port(), "-t", topic() + "/+", "-W", "0.2"}).out, "");
}

TEST_F(WithServer, RetainedFilters) {
  EXPECT_EQ(pub({"-t", topic() + "/a", "-m", "old", "-r", "-q", "1"}).code, kOk);
  EXPECT_EQ(pub({"-t", topic() + "/b", "-m", "old too", "-r", "-q", "1"}).code, kOk);
  auto fresh = sub({"-t", topic() + "/+", "-R", "-C", "1"});
  auto without_b = sub({"-t", topic() + "/+", "-T", topic() + "/b", "-C", "2"});
  auto stale = sub({"-t", topic() + "/+", "--retained-only"});
  pub({"-t", topic() + "/a", "-m", "new"});
  EXPECT_EQ(fresh->wait(), kOk);
  EXPECT_EQ(fresh->out, "new\n");
  EXPECT_EQ(without_b->wait(), kOk);
  EXPECT_EQ(without_b->out, "old\nnew\n");
  EXPECT_EQ(stale->wait(), kOk);
  EXPECT_EQ(stale->out, "old\nold too\n");
}

TEST_F(WithServer, APersistentSessionIsReadLater) {
  const std::vector<std::string> session = {"sub", "-p", port(), "-t", topic(),
                                            "-q",  "1",  "-c",   "-i", "keeper-cli"};
  auto subscribing = session;
  subscribing.push_back("-E");
  EXPECT_EQ(courier(subscribing).code, kOk);
  for (const char* text : {"1", "2", "3"}) EXPECT_EQ(pub({"-t", topic(), "-m", text, "-q", "1"}).code, kOk);
  auto taking_two = session;
  taking_two.insert(taking_two.end(), {"-C", "2"});
  EXPECT_EQ(courier(taking_two).out, "1\n2\n");
  // The third was not acknowledged by the one who had enough.
  auto taking_one = session;
  taking_one.insert(taking_one.end(), {"-C", "1", "-W", "20"});
  EXPECT_EQ(courier(taking_one).out, "3\n");
}

TEST_F(WithServer, InterruptLeavesInGoodOrder) {
  auto watcher = observer(topic() + "/will");
  auto subscriber = sub({"-t", topic(), "--will-topic", topic() + "/will", "--will-payload", "gone"});
  subscriber->signal(SIGINT);
  EXPECT_EQ(subscriber->wait(), kOk);
  EXPECT_FALSE(watcher->receive(100));  // said goodbye: no will
  auto killed = sub({"-t", topic(), "--will-topic", topic() + "/will", "--will-payload", "gone"});
  killed->signal(SIGKILL);
  EXPECT_EQ(watcher->receive()->payload, "gone");
}

TEST_F(WithServer, TimeoutHasItsOwnExitCode) {
  const auto result = courier({"sub", "-p", port(), "-t", topic(), "-W", "0.2"});
  EXPECT_EQ(result.code, kTimeout);
  EXPECT_EQ(result.out, "");
}

TEST_F(WithServer, UrlNamesEverything) {
  auto watcher = observer(topic() + "/url");
  EXPECT_EQ(courier({"pub", "-L", fmt::format("mqtt://user:p%40ss@127.0.0.1:{}/{}/url", port(), topic()),
                     "-m", "x"})
                .code,
            kOk);
  EXPECT_EQ(watcher->receive()->payload, "x");
}

TEST_F(WithServer, UnsubscribeEndsAPersistentSubscription) {
  EXPECT_EQ(courier({"sub", "-p", port(), "-t", topic(), "-q", "1", "-c", "-i", "leaver", "-E"}).code, kOk);
  EXPECT_EQ(courier({"sub", "-p", port(), "-U", topic(), "-c", "-i", "leaver"}).code, kOk);
  EXPECT_EQ(pub({"-t", topic(), "-m", "x", "-q", "1"}).code, kOk);
  EXPECT_EQ(courier({"sub", "-p", port(), "-t", topic() + "/other", "-c", "-i", "leaver", "-W", "0.2"}).out,
            "");
}

}  // namespace
}  // namespace courier::cli

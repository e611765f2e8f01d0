#include "config/load.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "config/errc.h"
#include "config/machine.h"
#include "config/schema.h"

namespace courier::config {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

// Enough for the rules between keys to be content.
constexpr std::string_view kOpen = "auth.allow_anonymous = true\n";

Settings good(std::string_view text, const std::vector<std::string>& overrides = {},
              const Environment& env = {}) {
  const auto settings = parse(std::string(kOpen) + std::string(text), "c.toml", overrides, env);
  EXPECT_TRUE(settings) << settings.error().message;
  return settings ? *settings : Settings{};
}

// Line numbers count from the first line of `text`.
std::string bad(std::string_view text, const std::vector<std::string>& overrides = {},
                const Environment& env = {}) {
  auto all = overrides;
  all.emplace_back("auth.allow_anonymous=true");
  const auto settings = parse(text, "c.toml", all, env);
  EXPECT_FALSE(settings);
  if (settings) return "";
  EXPECT_EQ(settings.error().code, errc::invalid);
  return settings.error().message;
}

TEST(Load, ReadsEveryKindOfValue) {
  const Settings settings = good(R"(
data_dir = "/srv/courier"
threads = 3
drain_timeout = "1m"

[[listener]]
name = "mobile"
bind = "0.0.0.0:1883"
proxy_protocol = "required"
proxy_trusted = ["10.0.0.0/8", "fd00::/8"]
connections_max = 100_000

[[listener]]
bind = "[::1]:1884"
mountpoint = "tenant-a"

[limits]
packet_bytes_max = "256KB"
inbox_bytes_max = 1048576
inbox_policy = "refuse"
connect_timeout = 2.5
keep_alive_max = 600

[admin]
tokens = ["0123456789abcdef"]

[log]
level = "debug"
format = "json"
)");
  EXPECT_EQ(settings.data_dir, "/srv/courier");
  EXPECT_EQ(settings.threads, 3u);
  EXPECT_EQ(settings.drain_timeout, 60s);
  ASSERT_EQ(settings.listeners.size(), 2u);
  EXPECT_EQ(settings.listeners[0].name, "mobile");
  EXPECT_EQ(settings.listeners[0].proxy_protocol, ProxyProtocol::required);
  EXPECT_THAT(settings.listeners[0].proxy_trusted, ElementsAre("10.0.0.0/8", "fd00::/8"));
  EXPECT_EQ(settings.listeners[0].connections_max, 100'000u);
  EXPECT_EQ(settings.listeners[1].name, "listener-1");
  EXPECT_EQ(settings.listeners[1].bind, "[::1]:1884");
  EXPECT_EQ(settings.listeners[1].mountpoint, "tenant-a");
  EXPECT_EQ(settings.limits.packet_bytes_max, 256u * 1024);
  EXPECT_EQ(settings.limits.inbox_bytes_max, 1024u * 1024);
  EXPECT_EQ(settings.limits.inbox_policy, InboxPolicy::refuse);
  EXPECT_EQ(settings.limits.connect_timeout, 2500ms);
  EXPECT_EQ(settings.limits.keep_alive_max, 600s);
  EXPECT_THAT(settings.admin.tokens, ElementsAre("0123456789abcdef"));
  EXPECT_EQ(settings.log.level, log::Level::debug);
  EXPECT_EQ(settings.log.format, log::Format::json);
  EXPECT_EQ(settings.sys, Sys{});
}

TEST(Load, LimitsAreRowsOfTheirOwn) {
  const auto settings =
      load(std::nullopt,
           {"auth.allow_anonymous=true", "limit.phones.messages_per_second=10", "limit.phones.per=identity",
            "limit.phones.bytes_per_second=2MB", "limit.storm.delay_max=0s", "limit.storm.username="},
           {});
  ASSERT_TRUE(settings) << settings.error().message;
  ASSERT_EQ(settings->limit_rules.size(), 2u);
  const LimitRule& phones = settings->limit_rules[0];
  EXPECT_EQ(phones.name, "phones");
  EXPECT_EQ(phones.username, "*");
  EXPECT_EQ(phones.per, LimitPer::identity);
  EXPECT_EQ(phones.messages_per_second, 10u);
  EXPECT_EQ(phones.bytes_per_second, 2u * 1024 * 1024);
  EXPECT_EQ(phones.delay_max, 10s);
  EXPECT_EQ(settings->limit_rules[1].username, "");
  EXPECT_EQ(settings->limit_rules[1].delay_max, 0ms);
  // Taken over while running, as are rows that come and go.
  Settings other = *settings;
  other.limit_rules.clear();
  EXPECT_TRUE(changes_that_need_a_restart(*settings, other).empty());
}

TEST(Load, WithoutAFileThereIsOneListener) {
  const auto settings = load(std::nullopt, {"auth.allow_anonymous=true"}, {});
  ASSERT_TRUE(settings) << settings.error().message;
  ASSERT_EQ(settings->listeners.size(), 1u);
  EXPECT_EQ(settings->listeners[0].name, "mqtt");
  EXPECT_EQ(settings->listeners[0].bind, "0.0.0.0:1883");
}

TEST(Load, RefusesToStartWhenNobodyCouldConnectAndSaysWhy) {
  const auto settings = load(std::nullopt, {}, {});
  ASSERT_FALSE(settings);
  EXPECT_THAT(settings.error().message, HasSubstr("nobody could connect"));
  EXPECT_THAT(settings.error().message, HasSubstr("auth.password_file"));
  EXPECT_TRUE(load(std::nullopt, {"auth.password_file=/etc/courier/passwd"}, {}));
}

TEST(Load, AnUnknownKeyNamesItsPlaceItsLineAndWhatWasMeant) {
  EXPECT_EQ(bad("threads = 1\n\n[limits]\n  inflght_max = 10\n"),
            "c.toml:4: unknown key \"inflght_max\" in [limits]; did you mean \"inflight_max\"?\n"
            "     4 |   inflght_max = 10");
  EXPECT_THAT(bad("[limts]\ninflight_max = 1\n"),
              HasSubstr("c.toml:1: unknown section \"limts\"; did you mean \"limits\"?"));
  EXPECT_THAT(bad("[[listner]]\nbind = \"0.0.0.0:1\"\n"), HasSubstr("did you mean \"listener\"?"));
  EXPECT_THAT(bad("password_file = \"x\"\n"), HasSubstr("\"password_file\" is a key of [auth]"));
  EXPECT_THAT(bad("[sys]\ndata_dir = \"x\"\n"), HasSubstr("stands at the top, before the first section"));
  EXPECT_THAT(bad("[limits]\ntls = true\n"), HasSubstr("unknown key \"tls\" in [limits]\n"));
}

TEST(Load, EveryProblemOfAFileIsReportedInOrder) {
  const std::string message = bad(R"(threads = "many"
dta_dir = "/x"
[[listener]]
bind = "localhost"
proxy_protocol = "requird"
[[listener]]
name = "b"
[limits]
inflight_max = 0
inbox_bytes_max = "64XB"
connect_timeout = "1h"
keep_alive_max = -1
[sys]
interval = [1]
[log]
level = true
)");
  size_t at = 0;
  for (const char* part :
       {"c.toml:1: threads: must be a whole number, but it is \"many\"\n     1 | threads = \"many\"",
        "c.toml:2: unknown key \"dta_dir\" at the top; did you mean \"data_dir\"?",
        "c.toml:4: listener.bind: it must be ADDRESS:PORT",
        "c.toml:5: listener.proxy_protocol: must be one of off, optional, required, but it is \"requird\"; "
        "did you "
        "mean \"required\"?",
        "c.toml:9: limits.inflight_max: must be 1 to 65535",
        "c.toml:10: limits.inbox_bytes_max: must be a size, as in \"64MB\" or 4096, but it is \"64XB\"",
        "c.toml:11: limits.connect_timeout: must be 100ms to 5m",
        "c.toml:12: limits.keep_alive_max: must be 1s to 65535s; 0 = whatever the client asks for",
        "c.toml:14: sys.interval: must be a duration",
        "c.toml:16: log.level: must be a text, but it is a boolean"}) {
    const size_t found = message.find(part, at);
    EXPECT_NE(found, std::string::npos) << part << "\nin\n" << message;
    if (found != std::string::npos) at = found;
  }
}

TEST(Load, ManyProblemsAreCountedNotAllShown) {
  std::string text;
  for (int i = 0; i < 1000; ++i) text += "x" + std::to_string(i) + " = 1\n";
  const std::string message = bad(text);
  EXPECT_THAT(message, HasSubstr("and 950 more"));
  EXPECT_LT(message.size(), 10'000u);
}

TEST(Load, ASyntaxErrorNamesItsLine) {
  EXPECT_THAT(bad("threads = 1\ndata_dir = \"x\n"), HasSubstr("c.toml:2: not TOML: "));
  EXPECT_THAT(bad("threads = 1\ndata_dir = \"x\n"), HasSubstr("     2 | data_dir = \"x"));
  EXPECT_THAT(bad("threads = 1\nthreads = 2\n"), HasSubstr("c.toml:2: not TOML: "));
}

TEST(Load, ALetterThatIsNotAsciiOutsideOfQuotationMarksIsASyntaxError) {
  EXPECT_THAT(bad("thre\u03E1ads = 1\n"), HasSubstr("c.toml:1: not TOML: "));
}

TEST(Load, ASectionOfTheWrongShapeIsExplained) {
  EXPECT_THAT(bad("[listener]\nbind = \"0.0.0.0:1\"\n"), HasSubstr("write [[listener]]"));
  EXPECT_THAT(bad("[[auth]]\nallow_anonymous = true\n"), HasSubstr("write [auth]"));
  EXPECT_THAT(bad("limits = 3\n"), HasSubstr("\"limits\" is a section: write [limits]"));
  EXPECT_THAT(bad("listener = \"x\"\n"), HasSubstr("\"listener\" is a section: write [[listener]]"));
  EXPECT_THAT(bad("[limits.inflight_max]\nx = 1\n"), HasSubstr("must be a whole number, but it is a table"));
}

TEST(Load, ASecretIsNeverRepeated) {
  for (const char* text : {"[admin]\ntokens = [\"hunter2\"]\n", "[admin]\ntokens = \"hunter2\"\n",
                           "[admin]\ntokns = [\"hunter2\"]\n", "[admin]\ntokens = [\n  \"hunter2\n]\n",
                           "[admin]\ntokens = [ hunter2 ]\n", "admin = { tokens = [\"hunter2\"], bnd = 1 }\n",
                           "token = \"hunter2\"\n"}) {
    EXPECT_THAT(bad(text), Not(HasSubstr("hunter2"))) << text;
  }
  EXPECT_THAT(bad("", {"admin.tokens=hunter2"}), Not(HasSubstr("hunter2")));
  EXPECT_THAT(bad("", {}, {{"COURIER__ADMIN__TOKENS", "hunter2"}}), Not(HasSubstr("hunter2")));
}

TEST(Load, TheCommandLineWinsOverTheEnvironmentAndBothOverTheFile) {
  const std::string text = "threads = 1\n[limits]\ninflight_max = 1\nreceive_maximum = 1\n";
  const Settings settings = good(
      text, {"limits.inflight_max=3"},
      {{"COURIER__LIMITS__INFLIGHT_MAX", "2"}, {"COURIER__LIMITS__RECEIVE_MAXIMUM", "2"}, {"PATH", "/bin"}});
  EXPECT_EQ(settings.threads, 1u);
  EXPECT_EQ(settings.limits.inflight_max, 3);
  EXPECT_EQ(settings.limits.receive_maximum, 2);
}

TEST(Load, OverridesAreBareText) {
  const Settings settings = good(
      "",
      {"data_dir=/a=b c", "limits.inbox_bytes_max=2GB", "limits.connect_timeout=750ms",
       "limits.session_expiry_max=3600", "admin.bind=", "admin.tokens=0123456789abcdef, fedcba9876543210"},
      {{"COURIER__LISTENER__0__BIND", "127.0.0.1:0"},
       {"COURIER__LISTENER__0__PROXY_TRUSTED", R"(["10.0.0.0/8", "::1"])"},
       {"COURIER__DATA_DIR", "/b"}});
  EXPECT_EQ(settings.data_dir, "/a=b c");
  EXPECT_EQ(settings.limits.inbox_bytes_max, 2048 * kMegabyte);
  EXPECT_EQ(settings.limits.connect_timeout, 750ms);
  EXPECT_EQ(settings.limits.session_expiry_max, 3600s);
  EXPECT_EQ(settings.admin.bind, "");
  EXPECT_THAT(settings.admin.tokens, ElementsAre("0123456789abcdef", "fedcba9876543210"));
  ASSERT_EQ(settings.listeners.size(), 1u);
  EXPECT_EQ(settings.listeners[0].bind, "127.0.0.1:0");
  EXPECT_THAT(settings.listeners[0].proxy_trusted, ElementsAre("10.0.0.0/8", "::1"));
}

TEST(Load, AListenerIsNamedByItsIndexOrItsNameAndAddedWhenItIsNew) {
  const std::string text = "[[listener]]\nname = \"mobile\"\nbind = \"0.0.0.0:1883\"\n";
  const Settings settings =
      good(text, {"listener.mobile.bind=0.0.0.0:2883", "listener.0.connections_max=7",
                  "listener.backend.bind=127.0.0.1:1884", "listener.2.bind=127.0.0.1:1885"});
  ASSERT_EQ(settings.listeners.size(), 3u);
  EXPECT_EQ(settings.listeners[0].name, "mobile");
  EXPECT_EQ(settings.listeners[0].bind, "0.0.0.0:2883");
  EXPECT_EQ(settings.listeners[0].connections_max, 7u);
  EXPECT_EQ(settings.listeners[1].name, "backend");
  EXPECT_EQ(settings.listeners[2].name, "listener-2");

  EXPECT_THAT(bad(text, {"listener.2.bind=0.0.0.0:1"}),
              HasSubstr("there is no listener 2; the next one is 1"));
  EXPECT_THAT(bad(text, {"listener.mobil.proxy_protocol=required"}), HasSubstr("it has no bind"));
  EXPECT_THAT(bad(text, {"listener.mobile.bnd=x"}), HasSubstr("did you mean \"bind\"?"));
  EXPECT_THAT(bad(text, {"listener.bind=0.0.0.0:1"}),
              HasSubstr("write listener.INDEX.KEY or listener.NAME.KEY"));
}

TEST(Load, ProblemsOutsideOfTheFileNameTheirSource) {
  EXPECT_EQ(
      bad("", {"limits.inflight=3", "threads", "x.y.z=1"}, {{"COURIER__ADMIN__BNID", "x"}}),
      "environment variable COURIER__ADMIN__BNID: unknown key \"bnid\" in [admin]; did you mean \"bind\"?\n"
      "--set limits.inflight: unknown key \"inflight\" in [limits]; did you mean \"inflight_max\"?\n"
      "--set threads: write KEY=VALUE\n"
      "--set x.y.z: unknown section \"x\"");
}

TEST(Load, RulesBetweenKeysAreChecked) {
  EXPECT_THAT(bad("[[listener]]\nbind = \"0.0.0.0:1\"\n[[listener]]\nbind = \"0.0.0.0:1\"\n"),
              HasSubstr(":4: two listeners have the address 0.0.0.0:1\n     4 | bind"));
  EXPECT_THAT(bad("[[listener]]\nbind = \"127.0.0.1:1\"\n[admin]\nbind = \"127.0.0.1:1\"\n"),
              HasSubstr(":4: admin.bind: listener \"listener-0\" has the address 127.0.0.1:1"));
  EXPECT_THAT(bad("[[listener]]\nname = \"a\"\n"), HasSubstr(":1: listener \"a\": it has no bind"));
  EXPECT_THAT(bad("[limits]\npacket_bytes_max = \"8MB\"\n"),
              HasSubstr(":2: limits.output_bytes_max: it is less"));
  EXPECT_THAT(bad("[[listener]]\nname = \"a\"\nbind = \"0.0.0.0:1\"\n[[listener]]\nname = \"a\"\nbind = "
                  "\"0.0.0.0:2\"\n"),
              HasSubstr("two listeners have the name \"a\""));
  EXPECT_THAT(bad("", {"listener.a.bind=0.0.0.0:1", "listener.a.proxy_protocol=optional",
                       "listener.a.proxy_trusted="}),
              HasSubstr("--set listener.a.proxy_trusted: listener \"a\": proxy_trusted is empty"));
  EXPECT_THAT(bad("[limits]\npacket_bytes_max = \"8MB\"\n"), HasSubstr("limits.output_bytes_max"));
  EXPECT_THAT(bad("[limits]\npacket_bytes_max = \"2MB\"\ninbox_bytes_max = \"1MB\"\n"),
              HasSubstr("limits.inbox_bytes_max"));
}

TEST(Load, TextsAreChecked) {
  for (const char* bind :
       {"1883", "localhost:1883", ":1883", "0.0.0.0:", "0.0.0.0:65536", "0.0.0.0:-1", "::1:1883", "[::1]",
        "[1.2.3.4]:1", "1.2.3:4", "0.0.0.0:1 ", "unix:", "unix:relative", "[%eth0]:1"}) {
    EXPECT_THAT(bad("", {std::string("listener.0.bind=") + bind}), HasSubstr("listener.bind: ")) << bind;
  }
  for (const char* cidr : {"10.0.0.0/33", "::/129", "example.org", "10.0.0.0/", "10.0.0.0/8/8", "10.0/8",
                           "10.1.2.3/8", "fd00::1/8"}) {
    EXPECT_THAT(bad("", {std::string("listener.0.proxy_trusted=") + cidr}), HasSubstr("proxy_trusted: "))
        << cidr;
  }
  for (const char* name : {"1a b", "7", "Mobile", "ä"}) {
    EXPECT_THAT(bad("", {std::string("listener.0.name=") + name}), HasSubstr("a name is")) << name;
  }
  EXPECT_THAT(bad("", {std::string("listener.0.bind=1.2.3.4\0x:1", 27)}), HasSubstr("listener.bind: "));
  EXPECT_THAT(bad("", {"listener.0.mountpoint=a/b"}), HasSubstr("a mountpoint is"));
  EXPECT_THAT(bad("", {"admin.tokens=short"}), HasSubstr("at least 16"));
  EXPECT_THAT(bad("data_dir = \"\"\n"), HasSubstr("data_dir: must not be empty"));
  EXPECT_THAT(bad("data_dir = \"a\\u0000b\"\n"), HasSubstr("a path has no NUL"));
}

TEST(Load, TextThatIsNotUtf8IsRefusedWhereverItComesFrom) {
  EXPECT_THAT(bad("data_dir = \"/x\xff\"\n"), HasSubstr("c.toml:1: "));
  EXPECT_THAT(bad("", {"data_dir=/x\xff"}), HasSubstr("--set data_dir: data_dir: must be UTF-8"));
  EXPECT_THAT(bad("", {}, {{"COURIER__ADMIN__TOKENS", "\xff"}}), HasSubstr("must be UTF-8"));
}

TEST(Load, AListenerMayBeAUnixSocketOrHaveAScope) {
  const Settings settings =
      good("", {"listener.0.bind=unix:/run/courier.sock", "listener.1.bind=[fe80::1%eth0]:1"});
  EXPECT_EQ(settings.listeners[0].bind, "unix:/run/courier.sock");
  EXPECT_EQ(settings.listeners[1].bind, "[fe80::1%eth0]:1");
  EXPECT_THAT(settings.listeners[0].proxy_trusted, ElementsAre("0.0.0.0/0", "::/0"));
  EXPECT_THAT(bad("", {"admin.bind=unix:/run/courier.sock"}), HasSubstr("admin.bind: "));
}

TEST(Load, TooManyListenersAreRefused) {
  std::string text;
  for (size_t i = 0; i <= 64 + 5; ++i) text += "[[listener]]\nbind = \"0.0.0.0:0\"\n";
  EXPECT_THAT(bad(text), HasSubstr("more than 64 listeners"));
}

TEST(Load, AFileThatCannotBeReadIsAnErrorOfItsOwn) {
  const auto missing = load("/nowhere/courierd.toml", {}, {});
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().code, errc::unreadable);
  EXPECT_THAT(missing.error().message, HasSubstr("/nowhere/courierd.toml: No such file"));
  EXPECT_EQ(load("/", {}, {}).error().code, errc::unreadable);

  const auto path = std::filesystem::temp_directory_path() / ("config_test_" + std::to_string(::getpid()));
  std::ofstream(path) << std::string(kFileBytesMax + 1, '#');
  EXPECT_THAT(load(path, {}, {}).error().message, HasSubstr("larger than 4MB"));
  std::ofstream(path, std::ios::trunc) << "[auth]\nallow_anonymous = true\n";
  EXPECT_TRUE(load(path, {}, {}));
  std::filesystem::remove(path);
}

TEST(Load, TheEnvironmentIsReadFromTheProcess) {
  ::setenv("COURIER__LOG__LEVEL", "warn", 1);
  const Environment env = environment();
  ::unsetenv("COURIER__LOG__LEVEL");
  EXPECT_EQ(env.at("COURIER__LOG__LEVEL"), "warn");
  EXPECT_EQ(env.count("PATH"), 0u);
}

TEST(Machine, ZeroStandsForWhatTheMachineHas) {
  Settings settings;
  EXPECT_GE(threads(settings), 1u);
  settings.threads = 5;
  EXPECT_EQ(threads(settings), 5u);
  EXPECT_GT(memory_max(settings.limits), 64 * kMegabyte);
  EXPECT_LT(memory_max(settings.limits), memory_bytes());
  settings.limits.memory_max = 123;
  EXPECT_EQ(memory_max(settings.limits), 123u);
}

}  // namespace
}  // namespace courier::config

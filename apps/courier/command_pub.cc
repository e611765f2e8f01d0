// courier pub: publishes what it is given, waits until the server has it, and leaves in good order.
#include <unistd.h>

#include <fstream>
#include <iterator>
#include <memory>
#include <optional>

#include "client/errc.h"
#include "courier/command.h"
#include "courier/connection_flags.h"
#include "courier/interrupt.h"
#include "courier/line_source.h"
#include "courier/outage.h"

namespace courier::cli {
namespace {

using client::Client;
using client::Completion;
using client::Ending;

constexpr const char* kPubFooter =
    "Properties (-D, repeatable):\n"
    "  publish     content-type, correlation-data, message-expiry-interval, payload-format-indicator,\n"
    "              response-topic, topic-alias\n"
    "  connect     session-expiry-interval, receive-maximum, maximum-packet-size, topic-alias-maximum,\n"
    "              authentication-method, authentication-data, request-problem-information, …\n"
    "  will        those of publish without topic-alias, and will-delay-interval\n"
    "  disconnect  session-expiry-interval\n"
    "  each        user-property NAME VALUE\n\n"
    "Examples:\n"
    "  courier pub -t greetings -m hello\n"
    "  courier pub -t orders/42 -q 1 -f order.json -D publish content-type application/json\n"
    "  courier pub -t lights/kitchen -r -m on              retained: later subscribers get it, too\n"
    "  courier pub -t lights/kitchen -r -n                 the retained message is removed\n"
    "  tail -f access.log | courier pub -t log -l -q 1     a message for each line\n"
    "  courier pub -t load -m x --repeat 1000 --repeat-delay 0.01\n"
    "  courier pub -h broker.example.com --cafile ca.pem -t greetings -m hello            over TLS\n\n"
    "With -l a server that goes away is waited for (-W: at most so long); a single message is given up.\n\n"
    "Exit codes: 0 the server has every message (QoS 1, 2), 1 failure, 2 usage, 3 no connection,\n"
    "4 refused, 5 timeout (-W).";

struct PubFlags {
  ConnectionFlags connection{"pub"};
  std::vector<std::string> topics;
  std::optional<std::string> message, file;
  bool lines = false, whole_input = false, null = false;
  int qos = 0;
  bool retain = false;
  int64_t repeat = 1;
  double repeat_delay = 0;
  double timeout = 0;
};

class Publisher final : public client::ClientHandler {
 public:
  Publisher(client::ClientLoop& loop, const PubFlags& flags, client::ClientSetup setup, std::string payload)
      : flags_(flags),
        outage_(flags.connection),
        loop_(loop),
        client_(loop, std::move(setup), *this),
        lines_(loop, STDIN_FILENO, [this] { pump(); }),
        next_([this] { pump(); }),
        deadline_([this] { give_up(); }),
        interrupt_(loop, [this] { interrupted(); }) {
    message_.payload = std::move(payload);
    message_.qos = static_cast<client::Qos>(flags.qos);
    message_.retain = flags.retain;
    message_.properties = flags.connection.properties().publish;
    message_.topic_alias = flags.connection.properties().topic_alias;
  }
  ~Publisher() {
    loop_.cancel(next_);
    loop_.cancel(deadline_);
  }

  int run() {
    if (auto opened = client_.open(); !opened) {
      flags_.connection.say(opened.error().message);
      return exit_of(opened.error().code);
    }
    if (flags_.timeout > 0) loop_.arm(deadline_, static_cast<int64_t>(flags_.timeout * 1'000));
    loop_.run();
    return exit_;
  }

 private:
  // More than so much on its way makes no one faster.
  static constexpr size_t kUnfinishedMax = 1'000;
  static constexpr size_t kOutputBytesMax = 1024 * 1024;

  void on_connected(Client& client, const mqtt::Connack&, bool) override {
    flags_.connection.say_debug(fmt::format("connected as \"{}\"", client.client_id()));
    if (outage_.connected() && flags_.lines) lines_.start();
    pump();
  }

  void on_disconnected(Client& client, const Ending& ending, std::optional<int64_t> retry_in_ms) override {
    if (outage_.wait_out(ending, retry_in_ms)) return;
    client.cut();
    finish(exit_of(ending));
  }

  void on_published(Client&, const Completion& completion) override {
    if (!completion.ok()) {
      const auto why =
          completion.error ? completion.error.message() : std::string(mqtt::name(completion.reason));
      flags_.connection.say(fmt::format(
          "the message was not taken: {}{}", why,
          completion.reason_string.empty() ? "" : fmt::format(" (\"{}\")", completion.reason_string)));
      exit_ = completion.error ? kFailure : kRefused;
    } else {
      flags_.connection.say_debug(fmt::format("acknowledged: {}", mqtt::name(completion.reason)));
    }
    pump();
  }

  void on_closed(Client&) override { finish(exit_); }

  // Publishes what is due and may be; leaves when all is done.
  void pump() {
    while (client_.online() && !leaving_) {
      if (client_.unfinished() >= kUnfinishedMax) return;  // on_published() comes back here
      if (client_.output_bytes() > kOutputBytesMax) {
        loop_.arm(next_, 1);
        return;
      }
      if (flags_.lines) {
        if (lines_.empty()) break;
        message_.payload = lines_.front();
        lines_.pop();
      } else {
        if (published_ >= flags_.repeat) break;
        if (next_.armed()) return;
        if (flags_.repeat_delay > 0 && published_ + 1 < flags_.repeat) {
          loop_.arm(next_, std::max<int64_t>(1, static_cast<int64_t>(flags_.repeat_delay * 1'000)));
        }
      }
      ++published_;
      if (!publish()) return;
    }
    const bool all = flags_.lines ? lines_.finished() : published_ >= flags_.repeat;
    if (all && client_.online() && client_.unfinished() == 0) leave();
  }

  bool publish() {
    for (const std::string& topic : flags_.topics) {
      message_.topic = topic;
      if (auto request = client_.publish(message_); !request) {
        flags_.connection.say(request.error().message);
        exit_ = request.error().code == client::errc::invalid_argument ? kUsage : kFailure;
        leave();
        return false;
      }
      flags_.connection.say_debug(fmt::format("publishing {} bytes to {}", message_.payload.size(), topic));
    }
    return true;
  }

  void leave() {
    if (std::exchange(leaving_, true)) return;
    client_.close(flags_.connection.properties().disconnect);
  }
  void finish(int code) {
    exit_ = code;
    loop_.stop();
  }
  void give_up() {
    flags_.connection.say(fmt::format("not done within {} s: {} messages without an answer", flags_.timeout,
                                      client_.unfinished()));
    client_.cut();
    finish(kTimeout);
  }
  void interrupted() {
    if (client_.unfinished() > 0) {
      flags_.connection.say(fmt::format("interrupted: {} messages without an answer", client_.unfinished()));
      exit_ = kFailure;
    }
    leave();
  }

  const PubFlags& flags_;
  Outage outage_;
  client::ClientLoop& loop_;
  Client client_;
  LineSource lines_;
  client::Timer next_, deadline_;
  Interrupt interrupt_;
  client::OutgoingMessage message_;
  int64_t published_ = 0;
  bool leaving_ = false;
  int exit_ = kOk;
};

std::optional<std::string> read_whole(std::istream& in) {
  std::string bytes{std::istreambuf_iterator<char>(in), {}};
  if (in.bad()) return std::nullopt;
  return bytes;
}

int publish(PubFlags& flags) {
  const auto& say = flags.connection;
  const int modes = int(flags.message.has_value()) + int(flags.file.has_value()) + int(flags.lines) +
                    int(flags.whole_input) + int(flags.null);
  if (modes != 1) {
    say.say(
        "say what to publish with one of -m TEXT, -f FILE, -l (lines of stdin), -s (all of stdin), -n "
        "(nothing)");
    return kUsage;
  }
  auto setup = flags.connection.setup();
  if (!setup) {
    say.say(setup.error().message);
    return exit_of(setup.error().code);
  }
  if (flags.topics.empty() && say.url_topic()) flags.topics.push_back(*say.url_topic());
  if (flags.topics.empty()) {
    say.say("say where to publish with -t TOPIC");
    return kUsage;
  }

  std::string payload = flags.message.value_or("");
  if (flags.file || flags.whole_input) {
    std::ifstream file;
    if (flags.file) file.open(*flags.file, std::ios::binary);
    auto bytes = flags.file ? (file ? read_whole(file) : std::nullopt) : read_whole(std::cin);
    if (!bytes) {
      say.say(fmt::format("cannot read {}", flags.file.value_or("stdin")));
      return kFailure;
    }
    payload = std::move(*bytes);
  }

  setup->reconnect = flags.lines;  // one message is given up with its connection, a stream is not
  auto loop = client::ClientLoop::open();
  if (!loop) {
    say.say(loop.error().message);
    return kFailure;
  }
  return Publisher(**loop, flags, std::move(*setup), std::move(payload)).run();
}

}  // namespace

Run set_up_pub(CLI::App& app) {
  auto flags = std::make_shared<PubFlags>();
  app.option_defaults()->multi_option_policy(CLI::MultiOptionPolicy::TakeLast);
  app.add_option("-t,--topic", flags->topics, "Topic to publish to; repeatable")
      ->type_name("TOPIC")
      ->allow_extra_args(false)
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
  app.add_option("-m,--message", flags->message, "The message")->type_name("TEXT");
  app.add_option("-f,--file", flags->file, "The content of a file is the message")->type_name("FILE");
  app.add_flag("-l,--stdin-line", flags->lines, "Each line of stdin is a message; reconnects if need be");
  app.add_flag("-s,--stdin-file", flags->whole_input, "All of stdin is the message");
  app.add_flag("-n,--null-message", flags->null, "A message without content");
  app.add_option("-q,--qos", flags->qos, "0 at most once (default), 1 at least once, 2 exactly once")
      ->type_name("QOS")
      ->check(between(0, 2));
  app.add_flag("-r,--retain", flags->retain, "Keep it as the topic's retained message");
  app.add_option("--repeat", flags->repeat, "Publish it so many times (1)")
      ->type_name("COUNT")
      ->check(positive());
  app.add_option("--repeat-delay", flags->repeat_delay, "Seconds between the repetitions (0)")
      ->type_name("SECONDS")
      ->check(not_negative());
  app.add_option("-W,--timeout", flags->timeout, "Give up after so many seconds, with exit code 5")
      ->type_name("SECONDS")
      ->check(positive());
  flags->connection.add_to(app);
  app.footer(kPubFooter);
  return [flags] { return publish(*flags); };
}

}  // namespace courier::cli

// courier sub: subscribes and prints what arrives, until it is told to stop or has enough.
#include <cstdio>
#include <memory>
#include <optional>

#include "client/errc.h"
#include "courier/command.h"
#include "courier/connection_flags.h"
#include "courier/interrupt.h"
#include "courier/message_format.h"
#include "courier/outage.h"
#include "mqtt/topic.h"

namespace courier::cli {
namespace {

using client::Client;
using client::Completion;
using client::Ending;

constexpr const char* kSubFooter =
    "Formats (-F):\n"
    "  %t topic   %p payload   %x %X payload in hex   %l its length   %q QoS   %r retained   %m packet id\n"
    "  %j JSON    %J JSON with a JSON payload as it is   %I time as ISO 8601   %U seconds since 1970\n"
    "  @X as strftime's %X     %% @@ \\\\ \\n \\t \\0 …       %-20t pads to the right, %.10p cuts\n"
    "  of 5.0: %A topic alias, %C content type, %D correlation data, %E expiry, %F payload format,\n"
    "  %P user properties, %R response topic, %S subscription identifiers\n\n"
    "Properties (-D, repeatable): subscribe subscription-identifier; connect and disconnect\n"
    "session-expiry-interval, …; each user-property NAME VALUE. See also `courier pub --help`.\n\n"
    "Examples:\n"
    "  courier sub -t 'orders/#' -v                      topic and payload, a line each\n"
    "  courier sub -t '$SYS/#' -o table -W 2             what the server says about itself\n"
    "  courier sub -t orders/+ -q 1 -c -i kitchen        a session that keeps messages while you are away\n"
    "  courier sub -t 'orders/#' -o ndjson | jq .payload\n"
    "  courier sub -t '$share/workers/jobs' -C 10        ten jobs, shared with other workers\n"
    "  courier sub -t 'old/#' --remove-retained --retained-only\n"
    "  courier sub -L mqtts://broker.example.com/orders/# --cafile ca.pem\n"
    "  courier sub -L wss://broker.example.com/mqtt -t 'orders/#'\n\n"
    "A server that goes away is waited for, and subscribed to again (-W: at most so long); one that refuses\n"
    "is not.\n\n"
    "Exit codes: 0 done (-C reached, or interrupted), 1 failure, 2 usage, 3 no connection, 4 refused,\n"
    "5 timeout (-W).";

enum class Output { plain, format, table, json, ndjson };

struct SubFlags {
  ConnectionFlags connection{"sub"};
  std::vector<std::string> topics, filtered_out, unsubscribed;
  int qos = 0;
  bool verbose = false, no_end_of_line = false, no_stale = false, retained_only = false,
       remove_retained = false;
  bool exit_after_subscribing = false, pretty = false;
  bool no_local = false, retain_as_published = false;
  std::string retain_handling = "always";
  int64_t count = 0;
  double timeout = 0;
  std::string format, output;
};

class Subscriber final : public client::ClientHandler {
 public:
  Subscriber(client::ClientLoop& loop, const SubFlags& flags, client::ClientSetup setup, Output output,
             std::optional<MessageFormat> format)
      : flags_(flags),
        outage_(flags.connection),
        loop_(loop),
        client_(loop, std::move(setup), *this),
        deadline_([this] { time_is_up(); }),
        interrupt_(loop, [this] { leave(kOk); }),
        output_(output),
        format_(std::move(format)) {}
  ~Subscriber() { loop_.cancel(deadline_); }

  int run() {
    if (auto opened = client_.open(); !opened) {
      flags_.connection.say(opened.error().message);
      return exit_of(opened.error().code);
    }
    if (flags_.timeout > 0) loop_.arm(deadline_, static_cast<int64_t>(flags_.timeout * 1'000));
    if (output_ == Output::table) text_ = table_heading() + "\n";
    if (output_ == Output::json) text_ = "[";
    while (!loop_.stopped()) {
      // Once a turn, so that a burst is one write and a lone message is seen at once.
      print();
      loop_.run_once();
    }
    if (output_ == Output::json) text_ += printed_ == 0 ? "]\n" : "\n]\n";
    print();
    return exit_;
  }

 private:
  void on_connected(Client& client, const mqtt::Connack&, bool session_present) override {
    flags_.connection.say_debug(
        fmt::format("connected as \"{}\"{}", client.client_id(), session_present ? ", session resumed" : ""));
    if (!outage_.connected()) return;  // the client restores what it subscribed to
    const PropertyFlags& properties = flags_.connection.properties();
    if (!flags_.unsubscribed.empty()) {
      check(client.unsubscribe(flags_.unsubscribed, properties.unsubscribe));
    }
    if (flags_.topics.empty()) return;
    std::vector<client::Subscription> subscriptions;
    for (const std::string& topic : flags_.topics) {
      subscriptions.push_back({topic,
                               {.qos = static_cast<client::Qos>(flags_.qos),
                                .no_local = flags_.no_local,
                                .retain_as_published = flags_.retain_as_published,
                                .retain_handling = retain_handling()}});
    }
    check(
        client.subscribe(std::move(subscriptions), properties.subscription_identifier, properties.subscribe));
  }

  client::RetainHandling retain_handling() const {
    if (flags_.retain_handling == "new") return client::RetainHandling::send_if_new;
    if (flags_.retain_handling == "never") return client::RetainHandling::do_not_send;
    return client::RetainHandling::send;
  }

  void check(const Result<client::RequestId>& asked) {
    if (asked) return;
    flags_.connection.say(asked.error().message);
    leave(exit_of(asked.error().code));
  }

  void on_subscribed(Client&, const Completion& completion) override {
    size_t refused = 0;
    for (size_t i = 0; i < completion.reasons.size(); ++i) {
      if (!mqtt::is_error(completion.reasons[i])) continue;
      ++refused;
      const std::string topic = i < flags_.topics.size() ? flags_.topics[i] : "?";
      flags_.connection.say(
          fmt::format("the server refused \"{}\": {}", topic, mqtt::name(completion.reasons[i])));
    }
    if (!completion.reasons.empty() && refused == completion.reasons.size()) return leave(kRefused);
    flags_.connection.say_debug("subscribed");
    if (flags_.exit_after_subscribing) leave(refused == 0 ? kOk : kRefused);
  }

  void on_unsubscribed(Client&, const Completion&) override {
    flags_.connection.say_debug("unsubscribed");
    if (flags_.topics.empty()) leave(kOk);
  }

  void on_message(Client& client, const mqtt::Publish& publish) override {
    if (flags_.retained_only && !publish.retain) return leave(kOk);
    if (flags_.no_stale && publish.retain) return;
    for (const std::string& filter : flags_.filtered_out) {
      if (mqtt::matches(filter, publish.topic)) return;
    }
    if (flags_.remove_retained && publish.retain && !publish.payload.empty()) {
      const client::OutgoingMessage removal{
          .topic = std::string(publish.topic), .qos = publish.qos, .retain = true};
      if (auto sent = client.publish(removal); !sent) flags_.connection.say(sent.error().message);
    }
    append({publish, wall_ns()});
    ++printed_;
    if (flags_.count > 0 && printed_ >= flags_.count) leave(kOk);
  }

  static int64_t wall_ns() {
    timespec now{};
    ::clock_gettime(CLOCK_REALTIME, &now);
    return now.tv_sec * 1'000'000'000 + now.tv_nsec;
  }

  void append(const Arrival& arrival) {
    const mqtt::Publish& publish = arrival.publish;
    switch (output_) {
      case Output::plain:
        if (flags_.verbose) text_ += fmt::format("{} ", publish.topic);
        text_ += publish.payload;
        break;
      case Output::format:
        format_->append(text_, arrival);
        break;
      case Output::table:
        text_ += table_line(arrival);
        break;
      case Output::ndjson:
        text_ += to_json(arrival, false, flags_.pretty);
        break;
      case Output::json:
        text_ += (printed_ == 0 ? "\n" : ",\n") + to_json(arrival, false, flags_.pretty);
        return;
    }
    if (!flags_.no_end_of_line) text_ += '\n';
  }

  void print() {
    if (text_.empty()) return;
    std::fwrite(text_.data(), 1, text_.size(), stdout);
    if (std::fflush(stdout) != 0) leave(kFailure);
    text_.clear();
    if (text_.capacity() > 1024 * 1024) text_ = std::string();
  }

  void on_disconnected(Client& client, const Ending& ending, std::optional<int64_t> retry_in_ms) override {
    if (outage_.wait_out(ending, retry_in_ms)) return;
    client.cut();
    exit_ = exit_of(ending);
    loop_.stop();
  }

  void on_closed(Client&) override { loop_.stop(); }

  void leave(int code) {
    if (std::exchange(leaving_, true)) return;
    exit_ = code;
    client_.close(flags_.connection.properties().disconnect);
  }
  void time_is_up() {
    flags_.connection.say_debug(fmt::format("{} s are over", flags_.timeout));
    if (!outage_.was_connected()) {
      flags_.connection.say(
          fmt::format("no connection to {} within {} s", flags_.connection.where(), flags_.timeout));
    }
    leave(kTimeout);
  }

  const SubFlags& flags_;
  Outage outage_;
  client::ClientLoop& loop_;
  Client client_;
  client::Timer deadline_;
  Interrupt interrupt_;
  const Output output_;
  const std::optional<MessageFormat> format_;
  std::string text_;  // not yet printed
  int64_t printed_ = 0;
  bool leaving_ = false;
  int exit_ = kOk;
};

int subscribe(SubFlags& flags) {
  const ConnectionFlags& say = flags.connection;
  Output output = Output::plain;
  if (flags.output == "table")
    output = Output::table;
  else if (flags.output == "json")
    output = Output::json;
  else if (flags.output == "ndjson")
    output = Output::ndjson;
  std::optional<MessageFormat> format;
  if (!flags.format.empty()) {
    if (output != Output::plain) {
      say.say("-F and -o exclude each other");
      return kUsage;
    }
    auto parsed = MessageFormat::parse(flags.format);
    if (!parsed) {
      say.say(parsed.error().message);
      return kUsage;
    }
    format = std::move(*parsed);
    output = Output::format;
  }
  auto setup = flags.connection.setup();
  if (!setup) {
    say.say(setup.error().message);
    return exit_of(setup.error().code);
  }
  if (flags.topics.empty() && say.url_topic()) flags.topics.push_back(*say.url_topic());
  if (flags.topics.empty() && flags.unsubscribed.empty()) {
    say.say("say what to subscribe to with -t FILTER; everything is -t '#'");
    return kUsage;
  }
  auto loop = client::ClientLoop::open();
  if (!loop) {
    say.say(loop.error().message);
    return kFailure;
  }
  return Subscriber(**loop, flags, std::move(*setup), output, std::move(format)).run();
}

CLI::Option* add_list(CLI::App& app, const char* names, std::vector<std::string>& into, const char* help) {
  return app.add_option(names, into, help)
      ->type_name("FILTER")
      ->allow_extra_args(false)
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
}

}  // namespace

Run set_up_sub(CLI::App& app) {
  auto flags = std::make_shared<SubFlags>();
  app.option_defaults()->multi_option_policy(CLI::MultiOptionPolicy::TakeLast);
  add_list(app, "-t,--topic", flags->topics, "Topic filter to subscribe to; repeatable");
  app.add_option("-q,--qos", flags->qos, "Greatest QoS to receive with (0)")
      ->type_name("QOS")
      ->check(between(0, 2));
  app.add_option("-C,--count", flags->count, "Leave after so many messages")
      ->type_name("COUNT")
      ->check(positive());
  app.add_option("-W,--timeout", flags->timeout, "Leave after so many seconds, with exit code 5")
      ->type_name("SECONDS")
      ->check(positive());
  add_list(app, "-T,--filter-out", flags->filtered_out, "Do not print topics that match; repeatable");
  add_list(app, "-U,--unsubscribe", flags->unsubscribed, "Unsubscribe from this first; repeatable");
  app.add_flag("-E", flags->exit_after_subscribing, "Leave once the server has granted the subscriptions");
  app.add_flag("-R,--no-retained", flags->no_stale, "Do not print retained messages");
  app.add_flag("--retained-only", flags->retained_only,
               "Print retained messages only; leave at the first other");
  app.add_flag("--remove-retained", flags->remove_retained, "Remove each retained message that arrives");
  app.add_flag("--no-local", flags->no_local, "Not what this client publishes itself (5.0)");
  app.add_flag("--retain-as-published", flags->retain_as_published,
               "Keep the retain flag as published (5.0)");
  app.add_option("--retain-handling", flags->retain_handling, "Retained messages: always, new or never (5.0)")
      ->type_name("WHEN")
      ->check(CLI::IsMember({"always", "new", "never"}));

  const char* group = "Output";
  app.add_flag("-v,--verbose", flags->verbose, "Print the topic before the payload")->group(group);
  app.add_flag("-N", flags->no_end_of_line, "No end of line after each message")->group(group);
  app.add_option("-F,--format", flags->format, "Print each message so; see below")
      ->type_name("FORMAT")
      ->group(group);
  app.add_option("-o,--output", flags->output, "table, json (one array) or ndjson (an object a line)")
      ->type_name("KIND")
      ->check(CLI::IsMember({"table", "json", "ndjson"}))
      ->group(group);
  app.add_flag("--pretty", flags->pretty, "JSON over several lines")->group(group);
  flags->connection.add_to(app);
  app.footer(kSubFooter);
  return [flags] { return subscribe(*flags); };
}

}  // namespace courier::cli

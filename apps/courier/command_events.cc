// courier events: what courierd can tell of, whom it tells, and what happens right now.
#include <cstdio>
#include <memory>

#include "admin/target.h"
#include "courier/admin_client.h"
#include "courier/json_text.h"
#include "courier/text_table.h"
#include "events/catalogue/catalogue.h"
#include "events/catalogue/schema.h"

namespace courier::cli {
namespace {

using Json = nlohmann::ordered_json;

struct EventFlags {
  AdminFlags admin;
  std::string output = "table";
  std::string client, topic;
  std::vector<std::string> kinds;
  uint64_t count = 0;
  int timeout = 0;
};

// An event on one line, for people: what most want to see of it.
std::string shown(const Json& event) {
  const std::string ns = text_in(event, "time_ns");
  const WallMs time = ns.empty() ? 0 : static_cast<WallMs>(std::strtoull(ns.c_str(), nullptr, 10) / kNsPerMs);
  std::string line =
      fmt::format("{}  {:<18}{}", log::iso8601(time), text_in(event, "kind"), text_in(event, "client_id"));
  for (const char* name : {"topic", "qos", "message_id", "filters", "reason", "peer", "latency_ns"}) {
    const std::string value = text_in(event, name);
    if (!value.empty()) line += fmt::format("  {}={}", name, value);
  }
  return one_line(line);
}

int tail(const EventFlags& flags) {
  auto admin = AdminClient::open(flags.admin, "events tail");
  if (!admin) return admin.error();
  std::string path = "/v1/events", kinds;
  for (const std::string& each : flags.kinds) kinds += (kinds.empty() ? "" : ",") + each;
  const auto add = [&](const char* name, const std::string& value) {
    if (!value.empty())
      path += fmt::format("{}{}={}", path.find('?') == std::string::npos ? '?' : '&', name,
                          admin::percent_encode(value));
  };
  add("client", flags.client);
  add("topic", flags.topic);
  add("kind", kinds);
  uint64_t events = 0;
  const auto on_line = [&](std::string_view line) {
    const Json event = Json::parse(line, nullptr, false);
    if (!event.is_object()) return true;
    if (const std::string word = event.value("event", ""); !word.empty()) {
      admin->say(word == "dropped"
                     ? fmt::format("{} events are missing here: they came faster than they could be shown",
                                   text_in(event, "lines"))
                     : "following; Ctrl-C ends it");
      return true;
    }
    ++events;
    fmt::print("{}\n", flags.output == "table" ? shown(event) : std::string(line));
    std::fflush(stdout);
    return std::ferror(stdout) == 0 && (flags.count == 0 || events < flags.count);
  };
  return admin->follow(path, std::chrono::seconds(flags.timeout), on_line);
}

int sinks(const EventFlags& flags) {
  auto admin = AdminClient::open(flags.admin, "events sinks");
  if (!admin) return admin.error();
  const auto answer = admin->ask_json("GET", "/v1/sinks");
  if (!answer) return answer.error();
  const Json sinks = answer->value("sinks", Json::array());
  if (flags.output == "json") print_json(sinks, 2);
  if (flags.output == "ndjson") {
    for (const Json& one : sinks) print_json(one, -1);
  }
  if (flags.output != "table") return kOk;
  TextTable table({"NAME", "KIND", "TARGET", "TELLS", "TOLD", "MISSED", "TROUBLE"});
  for (const Json& one : sinks) {
    table.add({text_in(one, "name"), text_in(one, "kind"), text_in(one, "target"),
               one.value("active", false) ? "yes" : "no", text_in(one, "told"), text_in(one, "missed"),
               text_in(one, "trouble")});
  }
  if (sinks.empty()) admin->say("nobody is told of events: its settings have no [[sink]]");
  fmt::print("{}", table.text());
  return kOk;
}

void print(const std::string& text) {
  std::fwrite(text.data(), 1, text.size(), stdout);
}

int kinds() {
  for (const events::KindInfo& each : events::kinds()) {
    fmt::print("{:<18} {:<13} {}\n", each.name, each.durable ? "at least once" : "best effort", each.says);
  }
  return kOk;
}

}  // namespace

Run set_up_events(CLI::App& app) {
  auto flags = std::make_shared<EventFlags>();
  app.require_subcommand(1);
  const auto add = [&](const char* name, const char* summary) {
    CLI::App* command = app.add_subcommand(name, summary);
    command->set_help_flag("--help,-h", "Show this help and exit");
    return command;
  };
  CLI::App* following = add("tail", "Show what happens, live");
  following->add_option("-i,--client", flags->client, "Only of this client id")->type_name("ID");
  following->add_option("-t,--topic", flags->topic, "Only about messages whose topic matches this filter")
      ->type_name("FILTER");
  following->add_option("-k,--kind", flags->kinds, "Only these kinds; courier events kinds lists them")
      ->type_name("KIND")
      ->delimiter(',');
  following->add_option("-C,--count", flags->count, "End after so many events")
      ->type_name("COUNT")
      ->check(positive());
  following->add_option("-W,--timeout", flags->timeout, "End after so many seconds, with exit code 5")
      ->type_name("SECONDS")
      ->check(positive());
  add_output(*following, flags->output, kLineEach);
  flags->admin.add_to(*following);
  following->footer(
      fmt::format("Of the node that is asked, whether or not a sink is told of it. -o ndjson shows all "
                  "fields. While you look on,\n"
                  "these kinds are written to the log, as for a sink: on a busy node ask for few.\n\n{}\n\n"
                  "Examples:\n"
                  "  courier events tail -i phone-4711\n"
                  "  courier events tail -t 'orders/#' -k delivery_complete,drop -o ndjson",
                  kAdminHelp));
  CLI::App* listing = add("sinks", "List who is told of events, and how that goes");
  add_output(*listing, flags->output, kLineEach);
  flags->admin.add_to(*listing);
  listing->footer(fmt::format(
      "TELLS: in a cluster one node tells each of them.\n\n{}\n\nExample:\n  courier events sinks",
      kAdminHelp));
  CLI::App* schema = add("schema", "Print the protobuf schema of events");
  schema->footer("Example:\n  courier events schema > event.proto && protoc --python_out=. event.proto");
  CLI::App* naming = add("kinds", "List the kinds of events");
  naming->footer("Example:\n  courier events kinds");
  app.footer(
      "Which of them are told to whom is in the settings: [[sink]].\n\n"
      "Examples:\n"
      "  courier events tail\n"
      "  courier events schema > event.proto");
  return [flags, following, listing, naming] {
    if (following->parsed()) return tail(*flags);
    if (listing->parsed()) return sinks(*flags);
    if (naming->parsed()) return kinds();
    print(events::protobuf_schema());
    return static_cast<int>(kOk);
  };
}

}  // namespace courier::cli

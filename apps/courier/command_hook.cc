// courier hook: the webhooks that are told of events, as a running node sees them.
#include <cstdio>
#include <memory>

#include "admin/target.h"
#include "courier/admin_client.h"
#include "courier/json_text.h"
#include "courier/text_table.h"

namespace courier::cli {
namespace {

using Json = nlohmann::ordered_json;

struct HookFlags {
  AdminFlags admin;
  std::string output = "table";
  std::string name;
  std::string event = "publish";
};

// Those of the sinks that are webhooks.
tl::expected<Json, int> webhooks(AdminClient& admin) {
  auto answer = admin.ask_json("GET", "/v1/sinks");
  if (!answer) return tl::unexpected(answer.error());
  Json hooks = Json::array();
  for (Json& sink : (*answer)["sinks"]) {
    if (sink.contains("webhook")) hooks.push_back(std::move(sink));
  }
  return hooks;
}

int list(const HookFlags& flags) {
  auto admin = AdminClient::open(flags.admin, "hook ls");
  if (!admin) return admin.error();
  const auto hooks = webhooks(*admin);
  if (!hooks) return hooks.error();
  if (flags.output == "json") print_json(*hooks, 2);
  if (flags.output == "ndjson") {
    for (const Json& one : *hooks) print_json(one, -1);
  }
  if (flags.output != "table") return kOk;
  if (hooks->empty())
    admin->say("no webhook is told of events: its settings have no [[sink]] with kind = \"webhook\"");
  TextTable table(
      {"NAME", "URL", "PROFILE", "TELLS", "STATE", "TOLD", "WAITING", "DEAD LETTERS", "LAST FAILURE"});
  for (const Json& one : *hooks) {
    const Json& of = one["webhook"];
    table.add({text_in(one, "name"), text_in(one, "target"), text_in(of, "profile"),
               one.value("active", false) ? "yes" : "no", text_in(of, "state"), text_in(one, "told"),
               text_in(of, "waiting"), text_in(of, "dead_letters"), text_in(of, "last_failure")});
  }
  fmt::print("{}", table.text());
  return kOk;
}

int stats(const HookFlags& flags) {
  auto admin = AdminClient::open(flags.admin, "hook stats");
  if (!admin) return admin.error();
  const auto hooks = webhooks(*admin);
  if (!hooks) return hooks.error();
  for (const Json& one : *hooks) {
    if (text_in(one, "name") != flags.name) continue;
    if (flags.output != "table") {
      print_json(one, flags.output == "json" ? 2 : -1);
      return kOk;
    }
    const auto line = [](std::string_view name, const std::string& value) {
      fmt::print("{:<20}{}\n", name, one_line(value));
    };
    const Json& of = one["webhook"];
    std::string events;
    for (const Json& event : one["events"]) events += (events.empty() ? "" : ", ") + event.get<std::string>();
    line("url", text_in(one, "target"));
    line("profile", text_in(of, "profile"));
    line("events", events);
    line("tells", one.value("active", false) ? "yes" : "no: another node of the cluster does");
    line("state", text_in(of, "state"));
    line("events told", text_in(one, "told"));
    line("events waiting", text_in(of, "waiting"));
    line("events given up", text_in(of, "given_up"));
    line("events missed", text_in(one, "missed"));
    line("dead letters", text_in(of, "dead_letters"));
    line("requests under way", text_in(of, "under_way"));
    line("requests taken", text_in(of, "taken"));
    line("requests failed", text_in(of, "failed"));
    if (const std::string failure = text_in(of, "last_failure"); !failure.empty()) {
      line("last failure", failure);
      line("failing since", text_in(of, "failing_since"));
    }
    return kOk;
  }
  admin->say(fmt::format("there is no webhook \"{}\"; courier hook ls lists them", flags.name));
  return kFailure;
}

int test(const HookFlags& flags) {
  auto admin = AdminClient::open(flags.admin, "hook test");
  if (!admin) return admin.error();
  const auto answer =
      admin->ask_json("POST", fmt::format("/v1/sinks/{}/test?event={}", admin::percent_encode(flags.name),
                                          admin::percent_encode(flags.event)));
  if (!answer) return answer.error();
  const int status = answer->value("status", 0);
  std::string body = text_in(*answer, "body");
  body.erase(body.find_last_not_of(" \r\n") + 1);
  if (flags.output != "table") {
    print_json(*answer, flags.output == "json" ? 2 : -1);
  } else {
    fmt::print("{} after {} ms{}{}\n", status, text_in(*answer, "took_ms"), body.empty() ? "" : ": ",
               one_line(body));
  }
  if (status / 100 == 2) return kOk;
  admin->say("it was not taken: only 2xx counts");
  return kRefused;
}

int replay(const HookFlags& flags) {
  auto admin = AdminClient::open(flags.admin, "hook replay");
  if (!admin) return admin.error();
  const auto answer =
      admin->ask_json("POST", fmt::format("/v1/sinks/{}/replay", admin::percent_encode(flags.name)));
  if (!answer) return answer.error();
  if (flags.output == "table") {
    fmt::print("{} dead letters are told again; courier hook stats {} shows how that goes\n",
               text_in(*answer, "dead_letters"), one_line(flags.name));
  } else {
    print_json(*answer, flags.output == "json" ? 2 : -1);
  }
  return kOk;
}

}  // namespace

Run set_up_hook(CLI::App& app) {
  auto flags = std::make_shared<HookFlags>();
  app.require_subcommand(1);
  const auto add = [&](const char* name, const char* summary, const char* ndjson) {
    CLI::App* command = app.add_subcommand(name, summary);
    command->set_help_flag("--help,-h", "Show this help and exit");
    add_output(*command, flags->output, ndjson);
    flags->admin.add_to(*command);
    return command;
  };
  const auto add_name = [&](CLI::App* command) {
    command->add_option("NAME", flags->name, "The sink's name in the settings")->required();
  };
  CLI::App* listing = add("ls", "List the webhooks that are told of events", kLineEach);
  listing->footer(fmt::format(
      "TELLS: in a cluster one node tells each of them. STATE: resting is asked one request at a time, "
      "since\n"
      "it failed again and again; gone answered 410 and is not asked.\n\n{}\n\nExample:\n  courier hook ls",
      kAdminHelp));
  CLI::App* counting = add("stats", "Show how one of them is told", kOneLine);
  add_name(counting);
  counting->footer("Example:\n  courier hook stats backend");
  CLI::App* testing = add("test", "Send one of them a made-up event, now", kOneLine);
  add_name(testing);
  testing->add_option("-e,--event", flags->event, "Its kind; courier events kinds lists them")
      ->type_name("KIND")
      ->capture_default_str();
  testing->footer(
      "Its id begins with test-, its client is courier-test. If it is taken, a webhook that was resting or "
      "gone is\n"
      "told again. Exit code 4 if the endpoint does not take it.\n\n"
      "Example:\n  courier hook test backend -e delivery_complete");
  CLI::App* replaying = add("replay", "Tell one of them its dead letters again", kOneLine);
  add_name(replaying);
  replaying->footer(
      "Of the node that is asked: each keeps those that it gave up. What is not taken is a dead letter "
      "again.\n\n"
      "Example:\n  courier hook replay backend");
  app.footer(
      "What is decided by hooks ([[hook]]) is not shown here; courier_hook_seconds and others of /metrics "
      "are about it.\n\n"
      "Examples:\n  courier hook ls\n  courier hook test backend");
  return [flags, listing, counting, testing] {
    if (listing->parsed()) return list(*flags);
    if (counting->parsed()) return stats(*flags);
    if (testing->parsed()) return test(*flags);
    return replay(*flags);
  };
}

}  // namespace courier::cli

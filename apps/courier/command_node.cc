// courier node status: how a running node is, for people, scripts and health checks.
#include <cstdio>
#include <memory>

#include "courier/admin_client.h"
#include "courier/text_table.h"

namespace courier::cli {
namespace {

using Json = nlohmann::ordered_json;

struct NodeFlags {
  AdminFlags admin;
  std::string output = "table";
};

std::string duration(int64_t seconds) {
  if (seconds < 120) return fmt::format("{} s", seconds);
  if (seconds < 7200) return fmt::format("{} min", seconds / 60);
  if (seconds < 48 * 3600) return fmt::format("{} h", seconds / 3600);
  return fmt::format("{} days", seconds / 86400);
}

std::string node_text(const Json& node) {
  const auto number = [](const Json& object, const char* name) { return object.value(name, uint64_t{0}); };
  const auto part = [&](const char* name) { return node.value(name, Json::object()); };
  const Json log = part("log"), checkpoint = part("checkpoint"), retained = part("retained"),
             inboxes = part("inboxes");
  std::string out;
  const auto line = [&](std::string_view name, std::string_view text) {
    out += fmt::format("{:<15}{}\n", name, one_line(text));
  };
  line("state",
       node.value("ready", false) ? "ready" : "NOT READY: " + node.value("reason", std::string("?")));
  line("version", node.value("version", std::string("?")));
  line("up for", duration(node.value("uptime_seconds", int64_t{0})));
  line("connections", std::to_string(number(node, "connections")));
  line("sessions", std::to_string(number(node, "sessions")));
  line("subscriptions",
       fmt::format("{}, {} shared groups", number(node, "subscriptions"), number(node, "shared_groups")));
  line("inboxes",
       fmt::format("{} messages, {}", number(inboxes, "messages"), byte_count(number(inboxes, "bytes"))));
  line("retained",
       fmt::format("{} messages, {}", number(retained, "messages"), byte_count(number(retained, "bytes"))));
  line("log",
       fmt::format("{}, {} since the checkpoint at {}{}",
                   log.value("accepting", false) ? "accepting"
                                                 : "NOT ACCEPTING: " + log.value("reason", std::string("?")),
                   byte_count(number(log, "tail_bytes")), number(checkpoint, "position"),
                   checkpoint.value("running", false) ? ", the next is being written" : ""));
  return out;
}

int status(const NodeFlags& flags) {
  auto admin = AdminClient::open(flags.admin, "node status");
  if (!admin) return admin.error();
  const auto node = admin->ask_json("GET", "/v1/node");
  if (!node) return node.error();
  if (flags.output == "table") {
    fmt::print("{}", node_text(*node));
  } else {
    fmt::print("{}\n",
               node->dump(flags.output == "json" ? 2 : -1, ' ', false, Json::error_handler_t::replace));
  }
  return node->value("ready", false) ? kOk : kUnhealthy;
}

}  // namespace

Run set_up_node(CLI::App& app) {
  auto flags = std::make_shared<NodeFlags>();
  app.require_subcommand(1);
  app.footer("Example:\n  courier node status -o json");
  CLI::App* command = app.add_subcommand("status", "Say how a running node is");
  command->set_help_flag("--help,-h", "Show this help and exit");
  command->add_option("-o,--output", flags->output, "table (the default), json, or ndjson (one line)")
      ->type_name("KIND")
      ->check(CLI::IsMember({"table", "json", "ndjson"}));
  flags->admin.add_to(*command);
  command->footer(
      fmt::format("{}\n\n"
                  "Exit code 10 if the node is not ready: it starts, it drains, or its log does not\n"
                  "accept (a full disk). 3 if there is no node to ask.\n\n"
                  "Example:\n  courier node status || echo something is wrong",
                  kAdminHelp));
  return [flags] { return status(*flags); };
}

}  // namespace courier::cli

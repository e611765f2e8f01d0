// courier node status|ls|drain|undrain: how a running node is, for people, scripts and health checks; and its
// clients sent elsewhere before it stops.
#include <chrono>
#include <cstdio>
#include <memory>
#include <thread>

#include "courier/admin_client.h"
#include "courier/members_table.h"
#include "courier/text_table.h"

namespace courier::cli {
namespace {

using Json = nlohmann::ordered_json;

struct NodeFlags {
  AdminFlags admin;
  std::string output = "table";
  uint32_t rate = 0;             // drain; 0: as the server has it
  std::string server_reference;  // likewise
  bool no_wait = false;          // likewise
};

constexpr auto kLook = std::chrono::milliseconds(500);

std::string dump(const Json& json, const NodeFlags& flags) {
  return json.dump(flags.output == "json" ? 2 : -1, ' ', false, Json::error_handler_t::replace);
}

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
    fmt::print("{}\n", dump(*node, flags));
  }
  return node->value("ready", false) ? kOk : kUnhealthy;
}

int list(const NodeFlags& flags) {
  auto admin = AdminClient::open(flags.admin, "node ls");
  if (!admin) return admin.error();
  const auto cluster = admin->ask_json("GET", "/v1/cluster");
  if (!cluster) return cluster.error();
  if (flags.output == "table") {
    fmt::print("{}", members_table(*cluster));
  } else {
    fmt::print("{}\n", dump(cluster->value("members", Json::array()), flags));
  }
  return kOk;
}

std::string drained_text(const Json& drain) {
  std::string servers;
  for (const Json& one : drain.value("servers", Json::array()))
    servers += (servers.empty() ? "" : ", ") + one.get<std::string>();
  return fmt::format("the node takes no new clients and lets go of {}; those of 5.0 are {}\n",
                     drain.value("connections", uint64_t{0}),
                     servers.empty() ? "told no other address" : "told to go to " + one_line(servers));
}

int drain(const NodeFlags& flags) {
  auto admin = AdminClient::open(flags.admin, "node drain");
  if (!admin) return admin.error();
  Json body = Json::object();
  if (flags.rate != 0) body["connections_per_second"] = flags.rate;
  if (!flags.server_reference.empty()) body["server_reference"] = flags.server_reference;
  const auto begun =
      admin->ask_json("POST", "/v1/node/drain", body.dump(-1, ' ', false, Json::error_handler_t::replace));
  if (!begun) return begun.error();
  if (flags.output == "table") {
    fmt::print("{}", drained_text(*begun));
  } else {
    fmt::print("{}\n", dump(*begun, flags));
  }
  std::fflush(stdout);
  if (flags.no_wait) return kOk;
  for (uint64_t told = begun->value("connections", uint64_t{0}), left = told; left > 0;) {
    std::this_thread::sleep_for(kLook);
    const auto node = admin->ask_json("GET", "/v1/node");
    if (!node) return node.error();
    if (!node->value("draining", false)) {
      note("node drain", "somebody ended it: the node takes clients again");
      return kFailure;
    }
    left = node->value("connections", uint64_t{0});
    if (left != told) admin->say(fmt::format("{} connections are left", left));
    told = left;
  }
  if (flags.output == "table") fmt::print("nobody is connected to it any more; it may be stopped\n");
  return kOk;
}

int undrain(const NodeFlags& flags) {
  auto admin = AdminClient::open(flags.admin, "node undrain");
  if (!admin) return admin.error();
  const auto done = admin->ask_json("DELETE", "/v1/node/drain");
  if (!done) return done.error();
  if (flags.output == "table") {
    fmt::print("the node takes clients again\n");
  } else {
    fmt::print("{}\n", dump(*done, flags));
  }
  return kOk;
}

}  // namespace

Run set_up_node(CLI::App& app) {
  auto flags = std::make_shared<NodeFlags>();
  app.require_subcommand(1);
  app.footer(
      "Examples:\n"
      "  courier node status -o json\n"
      "  courier node drain && systemctl restart courierd");
  const auto add = [&](const char* name, const char* says, const std::string& more) {
    CLI::App* command = app.add_subcommand(name, says);
    command->set_help_flag("--help,-h", "Show this help and exit");
    add_output(*command, flags->output, kOneLine);
    flags->admin.add_to(*command);
    command->footer(fmt::format("{}\n\n{}", kAdminHelp, more));
    return command;
  };
  add("status", "Say how a running node is",
      "Exit code 10 if the node is not ready: it starts, it drains, or its log does not\n"
      "accept (a full disk). 3 if there is no node to ask.\n\n"
      "Example:\n  courier node status || echo something is wrong");
  CLI::App* listing = add("ls", "List the nodes of the cluster, as one of them sees it",
                          "Exit code 1 if it is a node alone.\n\nExample:\n  courier node ls");
  CLI::App* draining = add(
      "drain", "Send a node's clients elsewhere, before it is stopped",
      "It takes no new clients (/readyz is 503), and in a cluster others act for its offline sessions.\n"
      "Clients of 5.0 are told where else to go: to the other nodes' cluster.client_address, in turn, or\n"
      "to --server-reference. Wills without a delay are published, as after any connection that the\n"
      "server closes. Waits until nobody is connected. A restart of the node ends it, too.\n\n"
      "Example:\n  courier node drain --rate 200 && systemctl restart courierd");
  draining->add_option("--rate", flags->rate, "Connections to close in a second (500)")
      ->type_name("COUNT")
      ->check(CLI::Range(1, 1'000'000));
  draining
      ->add_option("--server-reference", flags->server_reference,
                   "Where to send clients of 5.0, instead of the other nodes")
      ->type_name("ADDRESS");
  draining->add_flag("--no-wait", flags->no_wait, "Return once it has begun");
  CLI::App* undraining = add("undrain", "Let a node take clients again", "Example:\n  courier node undrain");
  return [flags, listing, draining, undraining] {
    if (listing->parsed()) return list(*flags);
    if (draining->parsed()) return drain(*flags);
    if (undraining->parsed()) return undrain(*flags);
    return status(*flags);
  };
}

}  // namespace courier::cli

// courier cluster status|partitions|health: several nodes, as one of them sees them; and import, by which a
// node alone becomes a cluster.
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <memory>
#include <vector>

#include "courier/admin_client.h"
#include "courier/members_table.h"
#include "courier/text_table.h"

namespace courier::cli {
namespace {

using Json = nlohmann::ordered_json;

enum class What : uint8_t { status, partitions, health };

struct ClusterFlags {
  AdminFlags admin;
  std::string output = "table";
  What what = What::status;
};

struct ImportFlags {
  std::string data_dir, config, courierd;
  std::vector<std::string> overrides;
};

// A full etcd takes nothing at all; the nodes stop taking messages before.
constexpr uint64_t kQuotaPercentMax = 70;

std::string text(const Json& object, const char* name) {
  return object.value(name, std::string());
}
uint64_t number(const Json& object, const char* name) {
  return object.value(name, uint64_t{0});
}

std::string partitions_table(const Json& cluster) {
  TextTable table({"PARTITION", "OWNER", "TO BE OWNED BY"});
  for (const Json& one : cluster.value("partitions", Json::array())) {
    const std::string owner = text(one, "owner"), wanted = text(one, "wanted");
    table.add({std::to_string(number(one, "partition")), owner.empty() ? "NOBODY" : owner,
               wanted == owner ? "" : wanted});
  }
  return table.text();
}

// What is not as it should be, a sentence each.
std::vector<std::string> complaints(const Json& cluster) {
  std::vector<std::string> all;
  for (const Json& one : cluster.value("members", Json::array())) {
    if (!one.value("reachable", false)) {
      all.push_back(fmt::format("{} lives, but {} does not reach it at {}: QoS 0 between them is dropped",
                                text(one, "id"), text(cluster, "node"), text(one, "mesh")));
    }
  }
  size_t ownerless = 0, moving = 0;
  for (const Json& one : cluster.value("partitions", Json::array())) {
    ownerless += text(one, "owner").empty();
    moving += !text(one, "owner").empty() && text(one, "owner") != text(one, "wanted");
  }
  if (ownerless > 0)
    all.push_back(fmt::format("{} partitions have no owner: sessions there do not expire, delayed wills wait",
                              ownerless));
  if (moving > 0) all.push_back(fmt::format("{} partitions are about to change their owner", moving));
  const Json etcd = cluster.value("etcd", Json::object());
  const uint64_t bytes = number(etcd, "bytes"), quota = number(etcd, "quota_bytes");
  if (quota > 0 && bytes >= quota / 100 * kQuotaPercentMax) {
    all.push_back(
        fmt::format("etcd has {} of {}: some node lags, or its disk keeps what was deleted (etcdctl defrag)",
                    byte_count(bytes), byte_count(quota)));
  }
  const uint64_t lag = number(cluster.value("log", Json::object()), "lag");
  if (lag > 1000) all.push_back(fmt::format("{} is {} revisions behind etcd", text(cluster, "node"), lag));
  return all;
}

int run(const ClusterFlags& flags) {
  static constexpr const char* kNames[] = {"cluster status", "cluster partitions", "cluster health"};
  auto admin = AdminClient::open(flags.admin, kNames[static_cast<size_t>(flags.what)]);
  if (!admin) return admin.error();
  const auto cluster = admin->ask_json("GET", "/v1/cluster");
  if (!cluster) return cluster.error();
  const std::vector<std::string> wrong = complaints(*cluster);
  if (flags.output != "table") {
    fmt::print("{}\n",
               cluster->dump(flags.output == "json" ? 2 : -1, ' ', false, Json::error_handler_t::replace));
  } else if (flags.what == What::status) {
    const Json etcd = cluster->value("etcd", Json::object());
    fmt::print("cluster {}, log {}, etcd {} of {}\n", one_line(text(*cluster, "name")),
               one_line(text(cluster->value("log", Json::object()), "id")), byte_count(number(etcd, "bytes")),
               byte_count(number(etcd, "quota_bytes")));
    fmt::print("{}", members_table(*cluster));
  } else if (flags.what == What::partitions) {
    fmt::print("{}", partitions_table(*cluster));
  } else if (wrong.empty()) {
    fmt::print("all is well, as {} sees it\n", one_line(text(*cluster, "node")));
  } else {
    for (const std::string& one : wrong) fmt::print("{}\n", one_line(one));
  }
  return flags.what == What::health && !wrong.empty() ? kUnhealthy : kOk;
}

// As from a variable of a script that was never set.
std::string named(const std::string& path) {
  return path.empty() ? "it is empty (is a variable not set?); nothing was started" : "";
}

// courierd does it, which has all that it takes: this process becomes that one.
int run_import(const ImportFlags& flags) {
  std::string courierd = flags.courierd;
  std::error_code error;
  if (courierd.empty())
    courierd = (std::filesystem::read_symlink("/proc/self/exe", error).parent_path() / "courierd").string();
  std::vector<std::string> arguments = {courierd, "--import", flags.data_dir, "--config", flags.config};
  for (const std::string& one : flags.overrides) arguments.insert(arguments.end(), {"--set", one});
  std::vector<char*> pointers;
  for (std::string& argument : arguments) pointers.push_back(argument.data());
  pointers.push_back(nullptr);
  ::execv(courierd.c_str(), pointers.data());
  note("cluster import", fmt::format("{} cannot be started: {}. Say where courierd is with --courierd",
                                     courierd, std::strerror(errno)));
  return kFailure;
}

}  // namespace

Run set_up_cluster(CLI::App& app) {
  auto flags = std::make_shared<ClusterFlags>();
  app.require_subcommand(1);
  app.footer("Example:\n  courier cluster status");
  const auto add = [&](What what, const char* name, const char* says, const char* more) {
    CLI::App* command = app.add_subcommand(name, says);
    command->set_help_flag("--help,-h", "Show this help and exit");
    add_output(*command, flags->output, kOneLine);
    flags->admin.add_to(*command);
    command->callback([flags, what] { flags->what = what; });
    command->footer(fmt::format("{}{}\n\nExample:\n  courier cluster {}", more, kAdminHelp, name));
  };
  add(What::status, "status", "Say who is there",
      "REACHED: by the mesh, from the node that is asked. PARTITIONS: how many it acts for.\n\n");
  add(What::partitions, "partitions", "Say who acts for sessions that are connected nowhere",
      "A partition whose owner changes is claimed by the next within seconds, an eighth of all at a "
      "time.\n\n");
  add(What::health, "health", "Say what is not as it should be",
      "Exit code 10 if there is anything to say.\n\n");

  auto imports = std::make_shared<ImportFlags>();
  CLI::App* importing = app.add_subcommand("import", "Begin a cluster with a stopped node's data");
  importing->set_help_flag("--help,-h", "Show this help and exit");
  importing->add_option("DATA_DIR", imports->data_dir, "The stopped node's data_dir; it is read, not changed")
      ->required()
      ->check(named);
  importing
      ->add_option(
          "-c,--config", imports->config,
          "The settings of the cluster's first node, with [cluster] and a data_dir of its own, empty")
      ->type_name("FILE")
      ->required()
      ->check(named);
  importing->add_option("--set", imports->overrides, "KEY=VALUE on top, as courierd takes it; repeatable")
      ->type_name("KEY=VALUE")
      ->allow_extra_args(false);
  importing
      ->add_option("--courierd", imports->courierd,
                   "The broker's program (default: the one beside this program)")
      ->type_name("FILE");
  importing->footer(
      "On the machine of the cluster's first node, as courierd's user, with no courierd running on either\n"
      "folder. Sessions, queues, subscriptions and retained messages come along, with what was under way;\n"
      "settings, passwords, rules and bans are files of their own. COURIER__… of the environment count, as "
      "for\n"
      "courierd. At the end all is counted, and compared row by row. When it is killed, run it again: it "
      "goes\n"
      "on, and twice is once.\n\n"
      "Start the first node afterwards, then the others with an empty data_dir each: they get it from the\n"
      "first. Until the cluster serves, starting the old node again is going back.\n\n"
      "Example:\n"
      "  courier cluster import /var/lib/courier.alone --config /etc/courier/courierd.toml");
  return [flags, imports, importing] { return importing->parsed() ? run_import(*imports) : run(*flags); };
}

}  // namespace courier::cli

// courier why: whether a client may publish or subscribe, which rule says so, and who would get it.
#include <memory>

#include "admin/target.h"
#include "courier/admin_client.h"
#include "courier/explanation_text.h"
#include "courier/text_table.h"

namespace courier::cli {
namespace {

using Json = nlohmann::ordered_json;

struct WhyFlags {
  AdminFlags admin;
  std::string client_id, topic, action = "publish", mountpoint;
  std::string output = "table";
};

void print_receivers(const Json& receivers) {
  const uint64_t total = receivers.value("total", uint64_t{0});
  if (total == 0) {
    fmt::print("\nnobody would get it now\n");
    return;
  }
  const Json& first = receivers["first"];
  fmt::print("\n{} would get it now{}:\n", total,
             first.size() < total ? fmt::format("; the first {}", first.size()) : std::string());
  TextTable table({"CLIENT ID", "MOUNTPOINT", "QOS", "STATE", "AS"});
  for (const Json& receiver : first) {
    table.add({receiver.value("client_id", ""), receiver.value("mountpoint", ""),
               std::to_string(receiver.value("qos", 0)),
               receiver.value("connected", false) ? "connected" : "offline",
               receiver.value("shared", false) ? "shared group" : ""});
  }
  fmt::print("{}", table.text());
}

int why(const WhyFlags& flags) {
  auto admin = AdminClient::open(flags.admin, "why");
  if (!admin) return admin.error();
  std::string path = path_of_client(flags.client_id, "/why", flags.mountpoint);
  path += fmt::format("{}action={}&topic={}", path.find('?') == std::string::npos ? "?" : "&", flags.action,
                      admin::percent_encode(flags.topic));
  const auto answer = admin->ask_json("GET", path);
  if (!answer) return answer.error();
  const bool allowed = answer->value("allowed", false);
  if (flags.output == "json") {
    fmt::print("{}\n", answer->dump(2, ' ', false, Json::error_handler_t::replace));
    return allowed ? kOk : kRefused;
  }
  fmt::print("{}", explanation_text(*answer));
  if (!answer->value("connected", false)) {
    admin->say("the client is not connected; rules that its token would bring are not known");
  }
  if (const auto receivers = answer->find("receivers"); receivers != answer->end())
    print_receivers(*receivers);
  return allowed ? kOk : kRefused;
}

}  // namespace

Run set_up_why(CLI::App& app) {
  auto flags = std::make_shared<WhyFlags>();
  app.add_option("CLIENT", flags->client_id, "Its client id")->required();
  app.add_option("TOPIC", flags->topic, "The topic, or the filter")->required();
  app.add_option("ACTION", flags->action, "publish (the default) or subscribe")
      ->check(CLI::IsMember({"publish", "subscribe"}));
  app.add_option("-M,--mountpoint", flags->mountpoint, "Of the listener that the client uses; most have none")
      ->type_name("NAME");
  app.add_option("-o,--output", flags->output, "table (the default) or json")
      ->type_name("KIND")
      ->check(CLI::IsMember({"table", "json"}));
  flags->admin.add_to(app);
  app.footer(
      fmt::format("Names the rule that decides, its file and line, what its variables stand for, and for a "
                  "refusal the\nnearest rule that would have allowed it; for a publish also who would get it "
                  "now.\nExit code 0: allowed; 4: refused.\n\n{}\n\n"
                  "Examples:\n"
                  "  courier why phone-4711 orders/4711/new\n"
                  "  courier why phone-4711 'orders/#' subscribe",
                  kAdminHelp));
  return [flags] { return why(*flags); };
}

}  // namespace courier::cli

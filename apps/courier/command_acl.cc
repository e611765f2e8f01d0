// courier acl check: an ACL file's problems, its test cases, or one question with its answer. Without a
// broker.
#include <algorithm>
#include <cstdio>
#include <memory>

#include <nlohmann/json.hpp>

#include "admin/why.h"
#include "auth/acl/acl_file.h"
#include "auth/acl/explanation.h"
#include "auth/acl/file_cases.h"
#include "auth/acl/limits.h"
#include "auth/acl/rule_set.h"
#include "base/file.h"
#include "courier/command.h"
#include "courier/explanation_text.h"
#include "courier/text_table.h"

namespace courier::cli {
namespace {

using Json = nlohmann::ordered_json;
namespace acl = auth::acl;

struct AclFlags {
  std::string file, action, topic;
  std::string user, client_id, mountpoint;
  std::string output = "table";
};

void print(const Json& json) {
  fmt::print("{}\n", json.dump(2, ' ', false, Json::error_handler_t::replace));
}

Json as_json(const std::vector<acl::Problem>& problems) {
  Json out = Json::array();
  for (const acl::Problem& problem : problems) {
    out.push_back({{"line", problem.line}, {"column", problem.column}, {"message", problem.message}});
  }
  return out;
}

int answer(const AclFlags& flags, const acl::RuleSet& rules) {
  const auto action = flags.action == "publish" ? acl::Action::publish : acl::Action::subscribe;
  const acl::Subject subject{flags.user, flags.client_id, flags.mountpoint};
  const acl::Explanation why = acl::explain(rules, subject, action, flags.topic, SIZE_MAX);
  const Json json = admin::to_json(why);
  if (flags.output == "json") {
    print(json);
  } else {
    fmt::print("{}", explanation_text(json));
  }
  return why.allowed ? kOk : kFailure;
}

int check(const AclFlags& flags) {
  const bool asks = !flags.action.empty();
  if (asks == flags.topic.empty()) {
    note("acl check", "a question is publish TOPIC or subscribe FILTER");
    return kUsage;
  }
  const auto text = read_file(flags.file, acl::kFileBytesMax);
  if (!text) return failure("acl check", text.error());

  acl::Labels labels;
  const auto rules = acl::RuleSet::parse(*text, flags.file, labels);
  if (asks && rules) return answer(flags, **rules);

  const acl::FileCases cases = acl::parse_file_cases(*text);
  std::vector<acl::Problem> problems = rules ? std::vector<acl::Problem>() : rules.error();
  problems.insert(problems.end(), cases.problems.begin(), cases.problems.end());
  std::stable_sort(problems.begin(), problems.end(),
                   [](const auto& a, const auto& b) { return a.line < b.line; });
  std::vector<acl::Problem> failures;
  for (const acl::FileCase& one : cases.cases) {
    if (!rules) break;
    if (auto difference = acl::difference(one, **rules))
      failures.push_back({one.line, 1, *std::move(difference)});
  }
  const std::vector<acl::Problem> notes = acl::parse_acl_file(*text).notes;
  const bool good = problems.empty() && failures.empty();

  if (flags.output == "json") {
    print(Json{{"file", flags.file},
               {"ok", good},
               {"rules", rules ? (*rules)->rules().size() : 0},
               {"cases", cases.cases.size()},
               {"problems", as_json(problems)},
               {"failures", as_json(failures)},
               {"notes", as_json(notes)}});
    return good ? kOk : kFailure;
  }
  for (const auto* list : {&problems, &failures}) {
    if (!list->empty()) fmt::print("{}\n", spelt(flags.file, *list));
  }
  for (const acl::Problem& one : notes) {
    note("acl check", fmt::format("{}:{}:{}: {}", flags.file, one.line, one.column, one.message));
  }
  if (good) {
    fmt::print("{}: ok, {} rules, {} test cases\n", flags.file, (*rules)->rules().size(), cases.cases.size());
    return kOk;
  }
  note("acl check", fmt::format("{}: {} problems, {} of {} test cases failed", flags.file, problems.size(),
                                failures.size(), cases.cases.size()));
  return kFailure;
}

}  // namespace

Run set_up_acl(CLI::App& app) {
  auto flags = std::make_shared<AclFlags>();
  app.require_subcommand(1);
  app.footer("Example:\n  courier acl check /etc/courier/acl");
  CLI::App* command =
      app.add_subcommand("check", "Say what is wrong with an ACL file, or why it allows something");
  command->set_help_flag("--help,-h", "Show this help and exit");
  command->add_option("FILE", flags->file, "The file")->required();
  command->add_option("ACTION", flags->action, "publish or subscribe: ask one question instead")
      ->check(CLI::IsMember({"publish", "subscribe"}));
  command->add_option("TOPIC", flags->topic, "The topic, or the filter");
  command->add_option("-u,--user", flags->user, "Who asks: its user name (%u)")->type_name("NAME");
  command->add_option("-i,--client-id", flags->client_id, "Its client id (%c)")->type_name("ID");
  command->add_option("--mountpoint", flags->mountpoint, "Its mountpoint (%m)")->type_name("NAME");
  command->add_option("-o,--output", flags->output, "table (the default) or json")
      ->type_name("KIND")
      ->check(CLI::IsMember({"table", "json"}));
  command->footer(
      "Every problem is printed at once as FILE:LINE:COLUMN: MESSAGE. Test cases stand in the file as "
      "comments:\n"
      "  #? USER CLIENT_ID [@MOUNTPOINT] publish|subscribe TOPIC allow|deny [label NAME]\n"
      "USER is - for a client without a name; what holds blanks stands in quotation marks.\n"
      "Exit code 0: no problem, and every case as expected (a question: allowed). 1: else.\n\n"
      "Examples:\n"
      "  courier acl check /etc/courier/acl\n"
      "  courier acl check /etc/courier/acl -u alice -i phone:1:7 publish orders/7/new");
  return [flags] { return check(*flags); };
}

}  // namespace courier::cli

// Test cases that stand in an ACL file, as comments that `courier acl check` reads:
//
//   #? USER CLIENT_ID [@MOUNTPOINT] publish|subscribe TOPIC allow|deny [label NAME]
//   #? alice phone:1:7 publish orders/7/new allow label orders
//   #? - "a b" @acme subscribe "my room/#" deny
//
// USER is - for a client without a name. What holds blanks stands in quotation marks, where \" is one and
// \\ a backslash; "-" in them is that very name. The broker does not look at them. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "auth/acl/acl_file.h"
#include "auth/acl/question.h"

namespace courier::auth::acl {

struct FileCase {
  uint32_t line = 0;
  std::string username, client_id, mountpoint;
  Action action{};
  std::string topic;
  bool allowed = false;
  std::optional<std::string> label;  // that the answer must have
};

struct FileCases {
  std::vector<FileCase> cases;
  std::vector<Problem> problems;
};

FileCases parse_file_cases(std::string_view text);

// nullopt: as expected. Else what is otherwise, with the explanation; one line.
std::optional<std::string> difference(const FileCase& one, const RuleSet& rules);

}  // namespace courier::auth::acl

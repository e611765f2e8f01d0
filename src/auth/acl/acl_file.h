// The text of an ACL file, line by line. Format: docs/operations/acl.md.
//
//   # comment
//   topic   [read|write|readwrite|deny] FILTER [label NAME]    before any user line: for everybody
//   user NAME                                                  the topic lines below are this user's
//   topic   …
//   pattern [read|write|readwrite|deny] FILTER [label NAME]    for everybody, wherever it stands; %u %c %m
//   token   [read|write|readwrite|deny] FILTER [label NAME]    the same, and pieces: %(c, :, 3)
//
// A filter may hold blanks; then its access must be written. `label NAME` are the last two words of a line,
// and never part of the filter. All problems are found in one go. Pure.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "auth/acl/pattern.h"
#include "auth/acl/question.h"

namespace courier::auth::acl {

// In the order in which their rules are asked.
enum class Section : uint8_t { everybody, user, pattern, token, grant };

// What a rule is about. A deny rule of the file is about both.
enum class Access : uint8_t { read = 1, write = 2, readwrite = 3 };
bool gives(Access access, Action action);

// Which variables a rule of the section may hold.
Allowed variables_in(Section section);

struct FileRule {
  Section section{};
  bool deny = false;
  Access access = Access::readwrite;
  uint32_t line = 0;  // from 1
  uint32_t user = 0;  // index in AclFile::users
  std::string_view filter;
  std::string_view label;  // "": none
};

// Columns count characters, from 1.
struct Problem {
  uint32_t line = 0, column = 0;
  std::string message;
  bool operator==(const Problem&) const = default;
};

// Views of the text.
struct AclFile {
  std::vector<FileRule> rules;          // in the order of the file
  std::vector<std::string_view> users;  // each once
  std::vector<Problem> problems;        // any: the file is not valid
  std::vector<Problem> notes;           // valid, but easily misread
};

AclFile parse_acl_file(std::string_view text);

// "FILE:LINE:COLUMN: MESSAGE", one a line.
std::string spelt(std::string_view file, const std::vector<Problem>& problems);

// For readers of lines of the file: the text without byte order mark; a line without its end.
std::string_view without_byte_order_mark(std::string_view text);
std::string_view cut_line(std::string_view& text);

}  // namespace courier::auth::acl

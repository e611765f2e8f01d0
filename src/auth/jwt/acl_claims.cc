#include "auth/jwt/acl_claims.h"

#include <algorithm>

#include <fmt/format.h>

#include "auth/jwt/limits.h"
#include "jose/claims.h"
#include "jose/errc.h"
#include "mqtt/topic.h"

namespace courier::auth::jwt {
namespace {

using jose::Json;

Failure bad(const std::string& what) {
  return fail(jose::errc::bad_claim, what);
}

Result<std::string> filter_of(const Json& value) {
  if (!value.is_string()) return bad("its topic is not text");
  const auto& filter = value.get_ref<const std::string&>();
  if (!mqtt::is_topic_filter(filter) || filter.find('\0') != std::string::npos)
    return bad("its topic is not a topic filter");
  return filter;
}

// As the ACL file has it.
bool is_label_character(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '.' ||
         c == '-';
}

Result<void> read_access(const Json* access, Grant& grant) {
  if (access == nullptr || !access->is_string()) return bad("its access is missing");
  const auto& word = access->get_ref<const std::string&>();
  grant.deny = word == "deny";
  grant.subscribe = word == "read" || word == "readwrite" || grant.deny;
  grant.publish = word == "write" || word == "readwrite" || grant.deny;
  if (!grant.subscribe && !grant.publish) return bad("its access is not read, write, readwrite or deny");
  return {};
}

Result<Grant> rule_of(const Json& rule) {
  if (!rule.is_object()) return bad("it is not an object");
  Grant grant;
  const Json* topic = jose::member(rule, "topic");
  const Json* filter = jose::member(rule, "filter");
  if ((topic == nullptr) == (filter == nullptr)) return bad("it must have either \"topic\" or \"filter\"");
  auto text = filter_of(topic != nullptr ? *topic : *filter);
  if (!text) return fail(text.error());
  grant.filter = std::move(*text);
  if (auto access = read_access(jose::member(rule, "access"), grant); !access) return fail(access.error());
  if (const Json* label = jose::member(rule, "label")) {
    if (!label->is_string()) return bad("its label is not text");
    grant.label = label->get<std::string>();
    const bool named = std::all_of(grant.label.begin(), grant.label.end(), is_label_character);
    if (grant.label.empty() || grant.label.size() > kLabelBytesMax || !named) {
      return bad(fmt::format("its label has 1 to {} letters, digits, '_', '.' and '-'", kLabelBytesMax));
    }
  }
  for (const auto& [name, value] : rule.items()) {
    if (name != "topic" && name != "filter" && name != "access" && name != "label") {
      return bad(
          fmt::format("\"{}\" is not known; there are topic, filter, access and label", name.substr(0, 32)));
    }
  }
  return grant;
}

// Each element of a list, as `read` takes it. `where`: what the list is called in errors.
template <typename Read>
Result<void> each_in(const Json& list, const std::string& where, std::vector<Grant>& grants, Read read) {
  if (!list.is_array()) return bad(fmt::format("{} is not a list", where));
  for (size_t i = 0; i < list.size(); ++i) {
    auto grant = read(list[i]);
    if (!grant) return fail(grant.error().within(fmt::format("rule {} of {}", i + 1, where)));
    if (grants.size() == kGrantsMax) return bad(fmt::format("there are more than {} rules", kGrantsMax));
    grants.push_back(std::move(*grant));
  }
  return {};
}

// The list at `name`, if there is one.
template <typename Read>
Result<void> each_of(const Json& claims, const std::string& name, std::vector<Grant>& grants, bool& found,
                     Read read) {
  const Json* list = jose::find_claim(claims, name);
  if (list == nullptr) return {};
  found = true;
  return each_in(*list, fmt::format("the claim \"{}\"", name), grants, read);
}

// A list that is there but empty denies everything, as its author will have meant.
void deny_all(std::vector<Grant>& grants) {
  grants.push_back({.filter = "#", .publish = true, .subscribe = true, .deny = true});
}

}  // namespace

Result<std::vector<Grant>> grants_of(const Json& claims, const std::string& acl_claim) {
  std::vector<Grant> grants;
  bool found = false;
  const auto one_way = [](bool publish) {
    return [publish](const Json& value) -> Result<Grant> {
      auto filter = filter_of(value);
      if (!filter) return fail(filter.error());
      return Grant{.filter = std::move(*filter), .publish = publish, .subscribe = !publish};
    };
  };
  if (auto read = each_of(claims, acl_claim, grants, found, rule_of); !read) return fail(read.error());
  if (auto read = each_of(claims, "publ", grants, found, one_way(true)); !read) return fail(read.error());
  if (auto read = each_of(claims, "subs", grants, found, one_way(false)); !read) return fail(read.error());
  if (found && grants.empty()) deny_all(grants);
  return grants;
}

Result<std::vector<Grant>> rules_of(const Json& list) {
  std::vector<Grant> grants;
  if (auto read = each_in(list, "\"acl\"", grants, rule_of); !read) return fail(read.error());
  if (grants.empty()) deny_all(grants);
  return grants;
}

}  // namespace courier::auth::jwt

#include "auth/certificate.h"

#include <system_error>
#include <utility>

namespace courier::auth {

namespace {

using Shown = net::PeerCertificate;

std::string_view first(const std::vector<std::string>& names) {
  return names.empty() ? std::string_view() : std::string_view(names.front());
}

struct Field {
  std::string_view name;
  std::string_view (*of)(const Shown&);
};
constexpr Field kFields[] = {
    {"cn", [](const Shown& shown) { return std::string_view(shown.common_name); }},
    {"dns", [](const Shown& shown) { return first(shown.dns); }},
    {"uri", [](const Shown& shown) { return first(shown.uri); }},
    {"email", [](const Shown& shown) { return first(shown.email); }},
    {"serial", [](const Shown& shown) { return std::string_view(shown.serial); }},
    {"fingerprint", [](const Shown& shown) { return std::string_view(shown.fingerprint); }},
};

}  // namespace

Result<std::unique_ptr<Certificate>> Certificate::open(std::string_view username) {
  const auto wrong = [](const std::string& why) {
    return fail(std::errc::invalid_argument, "auth.certificate_username: " + why);
  };
  std::vector<Part> parts;
  bool says_something = false;
  while (!username.empty()) {
    const size_t open = username.find('{');
    if (open != 0) {
      parts.push_back({std::string(username.substr(0, open))});
      if (open == std::string_view::npos) break;
      username.remove_prefix(open);
    }
    const size_t close = username.find('}');
    if (close == std::string_view::npos) return wrong("a { without its }");
    const std::string_view name = username.substr(1, close - 1);
    const Field* found = nullptr;
    for (const Field& field : kFields) {
      if (field.name == name) found = &field;
    }
    if (!found) {
      return wrong("there is no {" + std::string(name) +
                   "}; there are {cn}, {dns}, {uri}, {email}, {serial} and {fingerprint}");
    }
    parts.push_back({{}, found->of});
    says_something = true;
    username.remove_prefix(close + 1);
  }
  if (!says_something)
    return wrong("it must have one of {cn}, {dns}, {uri}, {email}, {serial}, {fingerprint}");
  return std::unique_ptr<Certificate>(new Certificate(std::move(parts)));
}

std::string Certificate::name(const Shown& certificate) const {
  std::string name;
  for (const Part& part : username_) {
    const std::string_view text = part.field ? part.field(certificate) : std::string_view(part.text);
    if (text.empty()) return {};
    name += text;
  }
  return name;
}

void Certificate::authenticate(Credentials credentials, std::function<void(Decision)> done) {
  Decision decision;
  const Shown* shown =
      credentials.tls && credentials.tls->certificate ? &*credentials.tls->certificate : nullptr;
  if (std::string name = shown ? this->name(*shown) : std::string(); !name.empty()) {
    decision.verdict = Verdict::allow;
    decision.identity.username = std::move(name);
    decision.identity.mountpoint = credentials.mountpoint;
    decision.identity.anonymous = false;
  }
  done(std::move(decision));
}

}  // namespace courier::auth
